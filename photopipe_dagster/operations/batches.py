"""Batches that people ask for: priced first, and begun as they were priced."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal

from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.costs import backfill_plan
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.batches import Batch, new_id
from photopipe_dagster.ledger.money.budget import Period
from photopipe_dagster.storage.base import ObjectStore


class BatchChangedError(PhotopipeError):
    """The batch is about other photos than it was when it was estimated."""


@dataclass(frozen=True, slots=True)
class BatchEstimate:
    """What a batch would make and cost.

    Args:
        cost: USD at most; what is stored is reused.
        seen: The same for the same photos in the same themes.
        batch_id: The id that the batch will have.
        short: Periods whose budget has less left than that.
    """

    selection: backfill_plan.Selection
    cost: Decimal
    seen: str
    batch_id: str
    short: tuple[Period, ...]


def estimate_batch(
    settings: Settings, ledger: Ledger, store: ObjectStore, selection: backfill_plan.Selection
) -> BatchEstimate:
    """Price a batch. Begins nothing.

    Raises:
        ConfigurationError: A provider cannot work with these settings.
    """
    cost = backfill_plan.price(settings, ledger, store, selection)
    return BatchEstimate(selection, cost, _seen(selection), new_id(), short_of(ledger, cost))


def begin_batch(
    settings: Settings,
    ledger: Ledger,
    store: ObjectStore,
    wanted: backfill_plan.BatchRequest,
    *,
    batch_id: str,
    seen: str,
    cost: Decimal,
    by: str,
) -> Batch:
    """Begin what was estimated; asked twice, it begins once.

    Args:
        batch_id: Of the estimate, as ``seen`` and ``cost``.
        by: Who asks for it.

    Raises:
        BatchChangedError: It would be about other photos now: estimate it again.
        PhotopipeError: There is no such theme.
    """
    known = ledger.batches.get(batch_id)
    if known is not None:
        return known
    selection = backfill_plan.select_photos(settings, ledger, store, wanted)
    if not selection.keys or _seen(selection) != seen:
        raise BatchChangedError(
            "What this is about has changed since it was estimated: estimate it again."
        )
    return ledger.batches.start(
        selection.keys, what=selection.what, by=by, estimate=cost, batch_id=batch_id
    )


def short_of(ledger: Ledger, cost: Decimal) -> tuple[Period, ...]:
    """Periods whose budget has less left than so many USD: what is beyond it waits."""
    periods = (ledger.budget.day(), ledger.budget.month())
    return tuple(each for each in periods if each.room is not None and cost > each.room)


def _seen(selection: backfill_plan.Selection) -> str:
    ids = sorted(key.job_id for key in selection.keys)
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()
