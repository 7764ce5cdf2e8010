"""The themes over HTTP: those that a photo can have, and the shop's own."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, File, Form, Query, Response, UploadFile
from pydantic import ConfigDict, Field, JsonValue, model_validator

from photopipe_dagster.api.errors import GUARDED, documented
from photopipe_dagster.api.examples import EXAMPLES
from photopipe_dagster.api.idempotency import Idempotent, IdempotentRoute
from photopipe_dagster.api.jobs import CamelModel
from photopipe_dagster.api.security import Caller, Editor, Scope, require
from photopipe_dagster.api.state import ApiState, State
from photopipe_dagster.operations import theme_files
from photopipe_dagster.operations import themes as work
from photopipe_dagster.operations.theme_files import MAX_ARCHIVE_BYTES, export_theme
from photopipe_dagster.publishing.approval import approval_required
from photopipe_dagster.themes.lint import lint
from photopipe_dagster.themes.model import Theme
from photopipe_dagster.themes.record import as_record, read_theme
from photopipe_dagster.themes.registry import ThemeRegistry, ThemeRevision

router = APIRouter(
    prefix="/api/themes",
    tags=["themes"],
    dependencies=[Depends(require(Scope.READ))],
    responses=GUARDED,
    route_class=IdempotentRoute,
)

Name = Annotated[str, Field(max_length=64, pattern=r"^[^\x00]*$")]
Content = Annotated[dict[str, JsonValue], Field(max_length=64)]


class ThemeView(CamelModel):
    """A theme. `provider` makes its backgrounds; a person approves its pictures first if
    `approvalRequired`. One that ships has no `revision`."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["ThemeView"]})

    name: str
    prompt: str
    scene: str
    provider: str
    is_default: bool
    approval_required: bool
    revision: int | None
    archived: bool

    @classmethod
    def of(cls, state: ApiState, themes: ThemeRegistry, theme: Theme) -> Self:
        """Of one of the themes that there are."""
        return cls(
            name=theme.name,
            prompt=theme.prompt,
            scene=theme.alt,
            provider=theme.background or state.settings.backgrounds,
            is_default=theme.name == themes.default,
            approval_required=approval_required(theme, state.settings),
            revision=themes.revision(theme.name),
            archived=themes.is_archived(theme.name),
        )


class ThemeWarning(CamelModel):
    """Something of a theme that will go wrong."""

    field: str
    says: str


class RevisionView(CamelModel):
    """A revision of a theme."""

    revision: int
    archived: bool
    made_by: str
    made_at: datetime


class WholeTheme(CamelModel):
    """A theme with all of its fields, as its file has them, and what will go wrong with it.

    `revisions` are those of a theme of the shop, the last one last; a theme that ships has none.
    """

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["WholeTheme"]})

    name: str
    built_in: bool
    revision: int | None
    archived: bool
    theme: dict[str, Any]
    warnings: list[ThemeWarning]
    revisions: list[RevisionView]

    @classmethod
    def of(cls, theme: Theme, history: tuple[ThemeRevision, ...]) -> Self:
        """Of a theme and its history."""
        return cls(
            name=theme.name,
            built_in=not history,
            revision=history[-1].revision if history else None,
            archived=bool(history) and history[-1].archived,
            theme=as_record(theme),
            warnings=_warnings(theme),
            revisions=[
                RevisionView(
                    revision=each.revision,
                    archived=each.archived,
                    made_by=each.made_by,
                    made_at=each.made_at,
                )
                for each in history
            ],
        )


class NewTheme(CamelModel):
    """A theme to be made: all of it in `theme`, or `copyOf` another one as `name`.

    What `/api/themes/{name}/file` gives can be sent as it is; `name` gives it another name.
    """

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["NewTheme"]})

    format: Literal["photopipe-theme/1"] | None = None
    theme: Content | None = None
    copy_of: Name | None = None
    name: Name | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.theme is None) is (self.copy_of is None) or (self.copy_of and not self.name):
            raise ValueError("needs either theme, or copyOf and name")
        return self


class ChangedTheme(CamelModel):
    """A theme as it is to be, and the revision that was changed."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["ChangedTheme"]})

    revision: Annotated[int, Field(ge=1, le=2**31 - 1)]
    theme: Content


class ThemeToArchive(CamelModel):
    """The revision that was seen when somebody decided to archive a theme."""

    revision: Annotated[int, Field(ge=1, le=2**31 - 1)]


class ThemeToCheck(CamelModel):
    """A theme that is only looked at."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["ThemeToCheck"]})

    theme: Content


@router.get("")
def list_themes(
    state: State, every: Annotated[bool, Query(alias="all", description="Archived, too.")] = False
) -> list[ThemeView]:
    """List the themes that are offered."""
    themes = state.themes
    names = [theme.name for theme in themes] if every else themes.offered
    return [ThemeView.of(state, themes, themes.get(name)) for name in names]


@router.post("/check")
def check_theme(told: ThemeToCheck) -> list[ThemeWarning]:
    """Say what will go wrong with a theme. Saves nothing."""
    return _warnings(read_theme(told.theme))


@router.post("", status_code=201, responses=documented(404, 409), dependencies=[Idempotent])
def create_theme(state: State, caller: Editor, told: NewTheme) -> WholeTheme:
    """Make a theme, or copy one. 409 where there is one of that name."""
    if told.theme is not None:
        theme = read_theme(told.theme)
        if told.name is not None:
            theme = work.copied(theme, told.name)
    else:
        theme = work.copied(work.find_theme(state.ledger, told.copy_of or ""), told.name or "")
    work.create_theme(state.settings, state.ledger, theme, by=caller.name)
    return _whole(state, theme.name)


@router.get("/{name}", responses=documented(404))
def show_theme(state: State, name: Name) -> WholeTheme:
    """Show a theme with its fields, warnings and revisions."""
    return _whole(state, name)


@router.post("/import", status_code=201, responses=documented(409), dependencies=[Idempotent])
def import_theme(
    state: State,
    caller: Editor,
    file: Annotated[UploadFile, File(description="Of `/api/themes/{name}/file`.")],
    name: Annotated[Name | None, Form()] = None,
) -> WholeTheme:
    """Make a theme of a file, with the scenes that come with it; `name` gives it another name."""
    return _whole(state, imported(state, caller, file, name).theme.name)


@router.get(
    "/{name}/file",
    responses={
        **documented(404, 409),
        200: {"content": {"application/json": {}, "application/zip": {}}},
    },
)
def theme_file(state: State, name: Name) -> Response:
    """Get a theme as a file, for git or another shop: JSON, or a ZIP archive with its scenes."""
    file = export_theme(state.ledger, state.store, name)
    return Response(
        file.data,
        media_type=file.content_type,
        headers={"Content-Disposition": f'attachment; filename="{name}.{file.suffix}"'},
    )


@router.put("/{name}", responses=documented(404, 409))
def change_theme(state: State, caller: Editor, name: Name, told: ChangedTheme) -> WholeTheme:
    """Change a theme of the shop: all of it is sent. An archived one is offered again.

    409 where somebody has changed it since `revision`; the message says who changed what, and
    nothing is saved. Nothing is made again by this: see `/api/batches` with `changed`.
    """
    theme = read_theme({**told.theme, "name": name})
    work.edit_theme(state.settings, state.ledger, theme, based_on=told.revision, by=caller.name)
    return _whole(state, name)


@router.post("/{name}/archive", responses=documented(404, 409), dependencies=[Idempotent])
def archive_theme(state: State, caller: Editor, name: Name, told: ThemeToArchive) -> WholeTheme:
    """Offer a theme to no new photo. Photos that have it keep it."""
    work.archive_theme(state.settings, state.ledger, name, based_on=told.revision, by=caller.name)
    return _whole(state, name)


def imported(state: ApiState, caller: Caller, file: UploadFile, name: str | None) -> ThemeRevision:
    """Make a theme of an upload, for somebody.

    Raises:
        InvalidRecordError, ConflictError: As `theme_files.import_theme` says.
    """
    data = file.file.read(MAX_ARCHIVE_BYTES + 1)
    services = state.settings, state.ledger, state.store
    return theme_files.import_theme(*services, data, by=caller.name, name=name)


def _whole(state: ApiState, name: str) -> WholeTheme:
    history = work.history_of(state.ledger, name)
    theme = history[-1].theme if history else work.find_theme(state.ledger, name)
    return WholeTheme.of(theme, history)


def _warnings(theme: Theme) -> list[ThemeWarning]:
    return [ThemeWarning(field=each.field, says=each.says) for each in lint(theme)]
