"""Cut-outs that people have repaired: which one came of which, and who did what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.jobs.model import MAX_NAME_CHARACTERS
from photopipe_dagster.ledger.tables import cutout_repairs


@dataclass(frozen=True, slots=True)
class Repair:
    """A repair of a photo's cut-out, which all themes of the photo share.

    Args:
        before: SHA-256 of the cut-out that was repaired.
        after: SHA-256 of what came of it.
        operations: `imaging.retouch.Operation` as JSON; none where a whole cut-out was uploaded.
    """

    id: int
    before: str
    after: str
    operations: tuple[Mapping[str, Any], ...]
    made_by: str
    made_at: datetime


class Repairs:
    """Keeps the repairs of cut-outs. Which one is in force, the object store says."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, key: PhotoKey, after: str) -> Repair | None:
        """The repair that a photo's cut-out came of; ``None`` if no person has made it.

        Args:
            after: SHA-256 of the cut-out as it is stored.
        """
        query = (
            select(cutout_repairs)
            .where(cutout_repairs.c.sku == key.sku, cutout_repairs.c.sha256 == key.sha256)
            .where(cutout_repairs.c.after == after, cutout_repairs.c.undone_at.is_(None))
            .order_by(cutout_repairs.c.id.desc())
            .limit(1)
        )
        row = next(iter(self._database.all(query)), None)
        if row is None:
            return None
        return Repair(
            row.id, row.before, row.after, tuple(row.operations), row.made_by, row.made_at
        )

    def add(
        self,
        key: PhotoKey,
        *,
        before: str,
        after: str,
        operations: Sequence[Mapping[str, Any]],
        by: str,
    ) -> None:
        """A person has repaired a cut-out; said before it is stored."""
        row = {
            "sku": key.sku,
            "sha256": key.sha256,
            "before": before,
            "after": after,
            "operations": list(operations),
            "made_by": by[:MAX_NAME_CHARACTERS],
            "made_at": self._database.now(),
        }
        with self._database.write() as connection:
            connection.execute(insert(cutout_repairs).values(row))

    def undone(self, repair_id: int, *, by: str) -> None:
        """A person has taken a repair back; said after the cut-out before it is stored again."""
        values = {"undone_by": by[:MAX_NAME_CHARACTERS], "undone_at": self._database.now()}
        with self._database.write() as connection:
            connection.execute(
                update(cutout_repairs).where(cutout_repairs.c.id == repair_id).values(values)
            )
