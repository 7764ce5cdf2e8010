"""Batches over HTTP: what they would cost, begin, look, stop."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field, model_validator

from photopipe_dagster.api.errors import GUARDED, ApiError, documented
from photopipe_dagster.api.examples import EXAMPLES
from photopipe_dagster.api.idempotency import Idempotent, IdempotentRoute
from photopipe_dagster.api.jobs import CamelModel, JobView, Limit, Offset, PublicStatus, Usd
from photopipe_dagster.api.money import Budget, OverBudget, budgets, require_affordable
from photopipe_dagster.api.photos import ThemeName
from photopipe_dagster.api.security import Caller, Scope, require
from photopipe_dagster.api.state import ApiState, State
from photopipe_dagster.core.errors import ErrorCode, InvalidTransitionError
from photopipe_dagster.core.photo import MAX_SKU_CHARACTERS
from photopipe_dagster.costs import backfill_plan
from photopipe_dagster.ledger.jobs.batches import Batch
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.operations.batches import BatchChangedError, begin_batch, estimate_batch

_WRITE = Depends(require(Scope.WRITE))

router = APIRouter(
    prefix="/api/batches",
    tags=["batches"],
    dependencies=[Depends(require(Scope.READ))],
    responses=GUARDED,
    route_class=IdempotentRoute,
)

Sku = Annotated[str, Field(min_length=1, max_length=MAX_SKU_CHARACTERS)]


class BatchWish(CamelModel):
    """What a batch is for.

    `theme`: known photos of `skus`, or with `allProducts` of all products, in `theme`. `changed`:
    what is DONE and would get another background today, in `theme` or in any. `failed`: what
    failed for good, with `code` or any, `since` a moment or ever.
    """

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["BatchWish"]})

    kind: Literal["theme", "changed", "failed"]
    theme: ThemeName | None = None
    skus: Annotated[tuple[Sku, ...], Field(max_length=100_000)] = ()
    all_products: bool = False
    code: ErrorCode | None = None
    since: datetime | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.kind == "theme" and (not self.theme or bool(self.skus) is self.all_products):
            raise ValueError("needs a theme, and either skus or allProducts")
        if self.since is not None and self.since.tzinfo is None:
            raise ValueError("since: needs a time zone, such as 2026-11-01T00:00:00Z")
        return self

    def wanted(self, state: ApiState) -> backfill_plan.BatchRequest:
        """As a selection is asked for.

        Raises:
            PhotoRejectedError: The theme is not offered.
        """
        theme = None if self.theme is None else state.themes.offer(self.theme).name
        if self.kind == "changed":
            return backfill_plan.Changed(theme)
        if self.kind == "failed":
            return backfill_plan.Failed((self.code,) if self.code else (), self.since)
        return backfill_plan.InTheme(theme or "", None if self.all_products else self.skus)


class BatchPrice(CamelModel):
    """What a batch would make and cost. Send `batchId`, `seen` and `costUsd` to begin it.

    `costUsd` is at most: what is stored is reused. `overBudget` names the budgets that have less
    left; photos beyond it wait, and continue automatically. Left out are photos that are DONE in
    that theme (`done`), or that a person stopped or rejected (`stopped`), and unknown SKUs.
    """

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["BatchPrice"]})

    batch_id: str
    what: str
    photos: int
    cost_usd: Usd
    seen: str
    done: int
    stopped: int
    unknown_skus: list[str]
    over_budget: list[Literal["day", "month"]]
    budget: list[Budget]


class BatchToBegin(BatchWish):
    """What was estimated, with `batchId`, `seen` and `costUsd` of the estimate."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["BatchToBegin"]})

    batch_id: Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
    seen: Annotated[str, Field(max_length=64)]
    cost_usd: Annotated[Decimal, Field(ge=0, max_digits=14, decimal_places=6)]
    over_budget: OverBudget = OverBudget.WAIT


class BatchView(CamelModel):
    """A batch, and how far it is. `waiting` are photos that have not been let go yet."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["BatchView"]})

    id: str
    what: str
    state: Literal["under way", "ended", "cancelled"]
    started_by: str
    created_at: datetime
    cancelled_at: datetime | None
    estimate_usd: Usd
    total: int
    waiting: int
    by_status: dict[PublicStatus, int]

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """From the ledger's."""
        by_status = dict.fromkeys(PublicStatus, 0)
        for status, count in batch.by_status.items():
            by_status[PublicStatus.of(status)] += count
        return cls(
            id=batch.id,
            what=batch.what,
            state=batch.state,
            started_by=batch.started_by,
            created_at=batch.created_at,
            cancelled_at=batch.cancelled_at,
            estimate_usd=batch.estimate,
            total=batch.total,
            waiting=batch.waiting,
            by_status=by_status,
        )


class BatchList(CamelModel):
    """A page of batches, newest first."""

    batches: list[BatchView]
    limit: int
    offset: int


@router.post("/estimate", dependencies=[_WRITE])
def estimate(state: State, wish: BatchWish) -> BatchPrice:
    """Say what a batch would make and cost. Begins nothing."""
    services = state.settings, state.ledger, state.store
    selection = backfill_plan.select_photos(*services, wish.wanted(state))
    found = estimate_batch(*services, selection)
    return BatchPrice(
        batch_id=found.batch_id,
        what=selection.what,
        photos=len(selection.keys),
        cost_usd=found.cost,
        seen=found.seen,
        done=selection.done,
        stopped=selection.stopped,
        unknown_skus=list(selection.unknown),
        over_budget=[each.span for each in found.short],
        budget=budgets(state.ledger),
    )


@router.post("", status_code=201, responses=documented(409), dependencies=[Idempotent])
def begin(state: State, wish: BatchToBegin, caller: Annotated[Caller, _WRITE]) -> BatchView:
    """Begin what was estimated; sent twice, it begins once.

    If it is about other photos by now it is a 409: estimate it again.
    """
    require_affordable(state.ledger, wish.cost_usd, max_cost=None, over_budget=wish.over_budget)
    services = state.settings, state.ledger, state.store
    try:
        batch = begin_batch(
            *services,
            wish.wanted(state),
            batch_id=wish.batch_id,
            seen=wish.seen,
            cost=wish.cost_usd,
            by=caller.name,
        )
    except BatchChangedError as error:
        raise ApiError(409, "changed", str(error)) from None
    return BatchView.of(batch)


@router.get("")
def list_batches(
    state: State,
    limit: Limit = 20,
    offset: Offset = 0,
) -> BatchList:
    """List batches, newest first."""
    found = state.ledger.batches.newest(limit, offset)
    return BatchList(batches=[BatchView.of(each) for each in found], limit=limit, offset=offset)


@router.get("/{batch_id}", responses=documented(404))
def show_batch(state: State, batch_id: str) -> BatchView:
    """Show how far a batch is."""
    return BatchView.of(_known(state, batch_id))


@router.get("/{batch_id}/jobs", responses=documented(404))
def batch_jobs(
    state: State,
    batch_id: str,
    status: Annotated[PublicStatus | None, Query()] = None,
    limit: Limit = 50,
) -> list[JobView]:
    """List jobs of a batch that were let go, those that changed last first."""
    batch = _known(state, batch_id)
    statuses = tuple(JobStatus) if status is None else status.statuses
    found = state.ledger.batches.jobs_of(batch.id, statuses, limit)
    return [JobView.of(job) for job in found]


@router.post("/{batch_id}/cancel", responses=documented(404, 409), dependencies=[_WRITE])
def cancel(state: State, batch_id: str) -> BatchView:
    """Let nothing more of a batch go; what is under way is finished."""
    batch = state.ledger.batches.cancel(_known(state, batch_id).id)
    if batch.cancelled_at is None:
        raise InvalidTransitionError(
            f"Nothing of batch {batch.id} waits any more: it stays {batch.state}."
        )
    return BatchView.of(batch)


def _known(state: ApiState, batch_id: str) -> Batch:
    # An id of another form is unknown, and not every database likes every character.
    plain = len(batch_id) <= 16 and batch_id.isascii() and batch_id.isprintable()
    batch = state.ledger.batches.get(batch_id) if plain else None
    if batch is None:
        raise ApiError(404, "not_found", "There is no batch with this id.")
    return batch
