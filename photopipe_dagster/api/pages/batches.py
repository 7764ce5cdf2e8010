"""Batches: photos made again or in another theme, with their price first, and how far they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Depends, File, Form, Response, UploadFile

from photopipe_dagster.api.errors import ApiError
from photopipe_dagster.api.middleware import MAX_BODY_BYTES
from photopipe_dagster.api.pages.pagination import ListQuery, page_of
from photopipe_dagster.api.pages.rendering import PageRoute, Visit, Visitor, see_other
from photopipe_dagster.api.security import Caller, Editor, Writer
from photopipe_dagster.api.state import ApiState, State
from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.core.photo import MAX_SKU_CHARACTERS
from photopipe_dagster.costs import backfill_plan
from photopipe_dagster.ledger.jobs.statuses import DECIDED, WORKING, JobStatus
from photopipe_dagster.operations.batches import BatchChangedError, begin_batch, estimate_batch

_A_PAGE: Final = 20
_SHOWN: Final = 12
"""Jobs that are named on a batch's page."""
_SKU_BYTES: Final = MAX_BODY_BYTES - 16 * 1024
"""Of all SKUs in the form that begins a batch, which carries other fields as well."""

router = APIRouter(route_class=PageRoute)


class InvalidFormError(ApiError):
    """The form cannot be meant like this; says what to change."""

    def __init__(self, message: str) -> None:
        super().__init__(422, "validation_error", message)


class BatchKind(StrEnum):
    """What a batch is for."""

    THEME = "theme"
    CHANGED = "changed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BatchForm:
    """What the form says, as it was written."""

    kind: BatchKind
    theme: str = ""
    skus: str = ""
    all_products: bool = False
    code: str = ""
    since: str = ""
    text: str = ""

    @classmethod
    def of(
        cls,
        kind: Annotated[BatchKind, Form()],
        theme: Annotated[str, Form(max_length=64)] = "",
        skus: Annotated[str, Form()] = "",
        products: Annotated[str, Form(max_length=8)] = "",
        code: Annotated[str, Form(max_length=32)] = "",
        since: Annotated[str, Form(max_length=10)] = "",
        text: Annotated[str, Form(max_length=MAX_SKU_CHARACTERS)] = "",
    ) -> BatchForm:
        """Read the form."""
        return cls(kind, theme, skus, products == "all", code, since, text)

    @property
    def named(self) -> list[str]:
        """The SKUs, each once."""
        lines = (line.strip() for line in self.skus.splitlines())
        return list(dict.fromkeys(line for line in lines if line))

    def known(self, selection: backfill_plan.Selection) -> BatchForm:
        """The same without unknown SKUs, and short enough to be sent once more.

        Raises:
            InvalidFormError: There are more than a form can carry.
        """
        unknown = set(selection.unknown)
        named = [] if self.all_products else self.named
        skus = [sku for sku in named if sku not in unknown]
        # Browsers send two bytes for the end of a line.
        if sum(len(sku.encode()) + 2 for sku in skus) > _SKU_BYTES:
            raise InvalidFormError(
                f"These {len(skus):,} SKUs are more than one form can carry. Ask for fewer at a "
                "time, or for all products; `photopipe batch start --skus` takes any number."
            )
        return replace(self, skus="\n".join(skus))

    def request(self) -> backfill_plan.BatchRequest:
        """As a selection is asked for.

        Raises:
            InvalidFormError: Something is missing or makes no sense.
        """
        match self.kind:
            case BatchKind.THEME:
                skus = self.named
                if not skus and not self.all_products:
                    raise InvalidFormError("Name the SKUs, one a line, or choose all products.")
                return backfill_plan.InTheme(self.theme, None if self.all_products else skus)
            case BatchKind.CHANGED:
                return backfill_plan.Changed(self.theme or None)
            case BatchKind.FAILED:
                if self.code and self.code not in list(ErrorCode):
                    raise InvalidFormError("Unknown error code.")
                codes = (ErrorCode(self.code),) if self.code else ()
                return backfill_plan.Failed(
                    codes, _midnight(self.since), self.theme or None, self.text or None
                )


@router.get("/batches")
def batch_list(visit: Visitor, asked: Annotated[ListQuery, Depends(ListQuery.of)]) -> Response:
    """Batches, newest first."""
    newest = visit.state.ledger.batches.newest
    return visit.page("batches.html", page=page_of(asked, "/batches", _A_PAGE, newest))


@router.get("/batches/new")
def new_batch(state: State, caller: Editor) -> Response:
    """The forms that ask what a batch would cost."""
    return _form(state, caller, BatchForm(BatchKind.THEME, state.themes.default))


@router.post("/batches/estimate")
def estimate(
    state: State,
    caller: Writer,
    form: Annotated[BatchForm, Depends(BatchForm.of)],
    file: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Say what a batch would make and cost. Begins nothing.

    Args:
        file: More SKUs, one a line.
    """
    try:
        if file is not None and file.filename:
            form = replace(form, skus=f"{form.skus}\n{_text(file)}")
        return _estimated(state, caller, form)
    except InvalidFormError as error:
        return _form(state, caller, form, error.message)


@router.post("/batches")
def begin(
    state: State,
    caller: Writer,
    form: Annotated[BatchForm, Depends(BatchForm.of)],
    batch: Annotated[str, Form(pattern="^[0-9a-f]{12}$")],
    seen: Annotated[str, Form(max_length=64)],
    cost: Annotated[Decimal, Form(ge=0, max_digits=14, decimal_places=6)],
) -> Response:
    """Begin what was estimated; sent twice, it begins once.

    Args:
        batch: Its id.
        seen: Of the estimate that the person saw.
        cost: USD, as estimated.
    """
    try:
        begin_batch(
            state.settings,
            state.ledger,
            state.store,
            form.request(),
            batch_id=batch,
            seen=seen,
            cost=cost,
            by=caller.name,
        )
    except BatchChangedError:
        return _estimated(state, caller, form, changed=True)
    return see_other(f"/batches/{batch}", "batch_begun")


@router.get("/batches/{batch_id}")
def batch_page(
    visit: Visitor, batch_id: str, asked: Annotated[ListQuery, Depends(ListQuery.of)]
) -> Response:
    """How far a batch is; the photos of one status where that is asked for."""
    batches = visit.state.ledger.batches
    batch, jobs_of = batches.require(batch_id), batches.jobs_of
    counts = batch.by_status
    if asked.status in _LISTS:
        title, statuses = _LISTS[JobStatus(asked.status)]
        find = partial(jobs_of, batch_id, statuses)
        found = page_of(asked, f"/batches/{batch_id}", _A_PAGE, find)
        titles = visit.titles(found.items)
        return visit.page("batch_jobs.html", batch=batch, title=title, page=found, titles=titles)
    lists = [
        (
            title,
            f"/batches/{batch_id}?status={name}",
            sum(counts.get(status, 0) for status in statuses),
            jobs_of(batch_id, statuses, _SHOWN),
        )
        for name, (title, statuses) in _LISTS.items()
    ]
    return visit.page(
        "batch.html",
        batch=batch,
        published=counts.get(JobStatus.DONE, 0),
        failed=counts.get(JobStatus.FAILED, 0),
        stopped=sum(counts.get(status, 0) for status in DECIDED),
        under_way=batch.total - batch.waiting - batch.ended,
        lists=lists,
        titles=visit.titles(job for *_, jobs in lists for job in jobs),
    )


@router.post("/batches/{batch_id}/cancel")
def cancel(state: State, caller: Writer, batch_id: str) -> Response:
    """Let nothing more of a batch go."""
    stopped = state.ledger.batches.cancel(batch_id).cancelled_at is not None
    said = "batch_cancelled" if stopped else "batch_not_waiting"
    return see_other(f"/batches/{batch_id}", said)


_LISTS: Final[Mapping[JobStatus, tuple[str, Sequence[JobStatus]]]] = {
    JobStatus.FAILED: ("Failed", (JobStatus.FAILED,)),
    JobStatus.CANCELLED: ("Stopped", DECIDED),
    JobStatus.QUEUED: ("Under way", (JobStatus.NEW, JobStatus.QUEUED, *WORKING)),
    JobStatus.DONE: ("Published", (JobStatus.DONE,)),
}
"""Lists of a batch's photos, by the status that asks for each."""


def _form(state: ApiState, caller: Caller, form: BatchForm, fault: str = "") -> Response:
    return Visit(state, caller).page(
        "batch_new.html",
        status=422 if fault else 200,
        form=form,
        fault=fault,
        themes=state.themes.offered,
        codes=tuple(ErrorCode),
    )


def _estimated(
    state: ApiState, caller: Caller, form: BatchForm, *, changed: bool = False
) -> Response:
    services = state.settings, state.ledger, state.store
    selection = backfill_plan.select_photos(*services, form.request())
    form = form.known(selection)
    found = estimate_batch(*services, selection)
    return Visit(state, caller).page(
        "batch_estimate.html",
        status=409 if changed else 200,
        form=form,
        selection=selection,
        cost=found.cost,
        seen=found.seen,
        batch=found.batch_id,
        changed=changed,
        short=found.short,
    )


def _text(file: UploadFile) -> str:
    try:
        return file.file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidFormError(
            "The file isn't plain text: save the SKUs as plain text, one a line."
        ) from None


def _midnight(day: str) -> datetime | None:
    """Its begin, UTC."""
    if not day:
        return None
    try:
        return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise InvalidFormError("Invalid date. Write it as 2026-11-01.") from None
