"""The themes: what each asks for, how it is lit, and how it looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from fastapi import APIRouter, Depends, File, Form, Query, Response, UploadFile
from PIL import Image

from photopipe_dagster.api.errors import ApiError
from photopipe_dagster.api.pages.rendering import PageRoute, Visit, Visitor, see_other
from photopipe_dagster.api.security import Scope, Writer, require
from photopipe_dagster.api.state import State
from photopipe_dagster.api.theme_previews import drawn
from photopipe_dagster.api.themes import imported
from photopipe_dagster.api.thumbnails import WIDTHS, next_width
from photopipe_dagster.core.errors import ConflictError, InvalidRecordError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.composite import CutoutPicture, compose, encode_jpeg
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.stats.job_counts import Count
from photopipe_dagster.operations.themes import archive_theme, copy_theme
from photopipe_dagster.pipeline.stages.composite import scene_of
from photopipe_dagster.providers.base import BackgroundRequest
from photopipe_dagster.providers.local.scenes import SCENE_VERSION, SCENES, render
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.publishing.approval import approval_required
from photopipe_dagster.themes.model import Theme

_SAMPLE_PRODUCT: Final = Path(__file__).with_name("sample_product.webp")
"""A plain glazed vase, cut out: what themes are shown with before there is a photo."""

_QUALITY: Final = 95
_SEED: Final = 7
_SHOWN: Final = 4

_SHOWN_USD: Final = Decimal("0.0001")

_ENDED: Final = (JobStatus.DONE, JobStatus.FAILED, JobStatus.REJECTED)

router = APIRouter(route_class=PageRoute, dependencies=[Depends(require(Scope.READ))])


@router.get("/themes")
def themes(visit: Visitor) -> Response:
    """All themes that are offered, with what became of their photos; and those in the archive."""
    return _library(visit)


@router.post("/themes")
def copy(
    state: State,
    caller: Writer,
    copy_of: Annotated[str, Form(max_length=64, pattern=r"^[^\x00]*$")],
    name: Annotated[str, Form(max_length=64, pattern=r"^[^\x00]*$")],
) -> Response:
    """Make a theme like another one, and go on to its editor."""
    try:
        made = copy_theme(state.settings, state.ledger, copy_of, name.strip(), by=caller.name)
    except (InvalidRecordError, ConflictError) as error:
        return _library(Visit(state, caller), str(error))
    return see_other(f"/themes/{made.theme.name}/edit", "theme_made")


@router.post("/themes/import")
def import_theme(
    state: State,
    caller: Writer,
    file: Annotated[UploadFile, File()],
    name: Annotated[str, Form(max_length=64, pattern=r"^[^\x00]*$")] = "",
) -> Response:
    """Make a theme of a file, with the scenes that come with it.

    Args:
        name: Another one than the file's, where given.
    """
    try:
        made = imported(state, caller, file, name.strip() or None)
    except (InvalidRecordError, ConflictError) as error:
        return _library(Visit(state, caller), str(error))
    return see_other(f"/themes/{made.theme.name}/edit", "theme_made")


@router.post("/themes/{name}/archive")
def archive(
    state: State, caller: Writer, name: str, revision: Annotated[int, Form(ge=0, le=2**31 - 1)]
) -> Response:
    """Offer a theme to no new photo."""
    archive_theme(state.settings, state.ledger, name, based_on=revision, by=caller.name)
    return see_other("/themes", "theme_archived")


def _library(visit: Visit, fault: str = "") -> Response:
    state = visit.state
    themes = state.themes
    names = themes.offered
    return visit.page(
        "themes.html",
        status=422 if fault else 200,
        fault=fault,
        themes=[themes.get(name) for name in names],
        revisions={name: themes.revision(name) for name in names},
        archived=[each.theme.name for each in state.ledger.themes.all() if each.archived],
        has_sample=has_sample,
        newest={
            name: state.ledger.jobs.find(JobQuery((JobStatus.DONE,), theme=name), limit=_SHOWN)
            for name in names
        },
        used=_used(state.ledger, names),
        approval={name for name in names if approval_required(themes.get(name), state.settings)},
        default=themes.default,
        provider=state.settings.backgrounds,
    )


@dataclass(frozen=True, slots=True)
class _Used:
    """What became of a theme's photos.

    Args:
        published: How many are.
        passed: Share of those at their end that were published; ``None`` where none is there.
        looked_at: Share of the same that a person decided on.
        cost: USD a published picture, with what was spent on the others.
        last: When the newest photo came in.
    """

    published: int
    passed: float | None
    looked_at: float | None
    cost: Decimal | None
    last: datetime | None


def _used(ledger: Ledger, names: Sequence[str]) -> Mapping[str, _Used]:
    counts, decided = ledger.counts.by_status_and_theme(), ledger.decisions.jobs_by_theme()
    used = {}
    for name in names:
        published, *others = (counts.get((status, name), Count()) for status in _ENDED)
        total = published.jobs + sum(each.jobs for each in others)
        spent = sum((each.cost for (_, of), each in counts.items() if of == name), Decimal(0))
        newest = ledger.jobs.find(JobQuery(theme=name), limit=1)
        used[name] = _Used(
            published.jobs,
            published.jobs / total if total else None,
            min(1.0, decided.get(name, 0) / total) if total else None,
            (spent / published.jobs).quantize(_SHOWN_USD) if published.jobs else None,
            newest[0].created_at if newest else None,
        )
    return used


@router.get("/themes/{name}/sample.jpg")
def sample(
    name: str, state: State, width: Annotated[int, Query(ge=1, le=4096)] = WIDTHS[2]
) -> Response:
    """A vase in the theme's scene, as this machine renders it; made once."""
    theme = next((each for each in state.themes if each.name == name), None)
    if theme is None or not has_sample(theme):
        raise ApiError(404, "not_found", "There is no sample of such a theme.")
    version = f"sample/{SCENE_VERSION}/{theme}"
    jpeg = state.thumbnails.get(version, next_width(width), lambda: _sample(theme, state.settings))
    return Response(
        jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"}
    )


def _sample(theme: Theme, settings: Settings) -> bytes:
    with Image.open(_SAMPLE_PRODUCT) as image:
        product = np.asarray(image.convert("RGBA"))
    height, width, _ = product.shape
    if theme.background is None:
        ground = encode_jpeg(
            render(theme.drawn_as, width, height, _SEED, theme.looks), quality=_QUALITY
        )
    else:
        request = BackgroundRequest(theme, width, height, _SEED)
        ground = drawn(settings, theme.background, request)
    made = compose(CutoutPicture.from_rgba(product), ground, scene_of(theme))
    return made.jpeg


def has_sample(theme: Theme) -> bool:
    """Whether a theme can be shown without buying anything."""
    if theme.scenes:
        return False
    if theme.background is None:
        return theme.drawn_as in SCENES
    return not PROVIDERS.get(theme.background).capabilities.remote
