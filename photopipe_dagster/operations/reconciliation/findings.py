"""What a reconciliation can find: where two of the truths do not agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class DiscrepancyKind(StrEnum):
    """What is wrong."""

    PICTURE_MISSING = "picture missing"
    """The ledger says DONE; a picture is not in the object store."""
    PICTURE_DAMAGED = "picture damaged"
    """The bytes of a stored picture are not those of its recorded SHA-256."""
    MATERIALIZATION_MISSING = "materialization missing"
    """The ledger says DONE; Dagster shows nothing of it."""
    MEDIA_TAKEN_OFF = "media taken off"
    """Somebody took the picture off its product; its file is still in the shop."""
    MEDIA_DELETED = "media deleted"
    """Somebody deleted the picture's file in the shop."""
    PRODUCT_GONE = "product gone"
    """The product that the picture was put on is gone, and no other has its SKU."""
    PRODUCT_REPLACED = "product replaced"
    """The product that the picture was put on is gone, and another has its SKU."""
    OBJECT_ORPHANED = "object orphaned"
    """In the object store is something that no job made."""
    MEDIA_ORPHANED = "media orphaned"
    """On a product stands, or the ledger knows, a media of ours that no job made."""
    MEDIA_UNATTACHED = "media unattached"
    """A file was made in the shop, and never put on its product."""
    PARTITION_ORPHANED = "partition orphaned"
    """Dagster has a partition, or materializations, of no job."""
    JOB_STUCK = "job stuck"
    """A run took the job up and is dead, and nobody noticed."""
    DISPATCH_STUCK = "dispatch stuck"
    """Jobs were sent to a run that never took them up."""
    NOT_DISPATCHED = "not dispatched"
    """Jobs are due, and nobody sends them out."""
    SPENDING_OPEN = "spending open"
    """How a purchase ended was never written, and who made it is dead."""
    CLAIM_EXPIRED = "claim expired"
    """A lease of a dead process that nobody took over."""


NOTES = frozenset(
    {
        DiscrepancyKind.MEDIA_TAKEN_OFF,
        DiscrepancyKind.MEDIA_DELETED,
        DiscrepancyKind.PRODUCT_GONE,
        DiscrepancyKind.OBJECT_ORPHANED,
        DiscrepancyKind.PARTITION_ORPHANED,
    }
)
"""What does no harm if it stays: somebody did it on purpose, or it only takes up room."""


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One thing that is not as it should be.

    Args:
        kind: What is wrong.
        subject: What it is wrong with: a job, an object key, a partition, a media …
        what: What was found, in a sentence.
        remedy: What a person can do.
        since: Since when, as far as that is known; UTC.
        repair: Repairs it without paying, publishing twice or deleting anything, and says whether
        it
            could; ``None`` where only a person can.
        repaired: Whether that was done.
    """

    kind: DiscrepancyKind
    subject: str
    what: str
    remedy: str
    since: datetime | None = None
    repair: Callable[[], bool] | None = field(default=None, repr=False, compare=False)
    repaired: bool = False

    @property
    def repairable(self) -> bool:
        """Whether `--repair` may repair it."""
        return self.repair is not None

    @property
    def needs_person(self) -> bool:
        """Whether somebody has to do something about it."""
        return not self.repaired and self.kind not in NOTES
