"""How many jobs there are, by status and theme, without counting them.

Each change of a job writes down, in its own transaction, what it takes from one count and adds to
another (triggers of the database do, so no change is forgotten). Writers only ever add rows, so
they neither wait for one another nor lock each other out; a sum over the rows is exact at every
moment. Now and then the rows are added up to a few.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sqlalchemy import delete, func, insert, select, text

from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.statuses import JobStatus
from photopipe_dagster.ledger.tables import job_counts

FOLD_LOCK: Final = 0x636F756E7473
"""Postgres advisory lock: who holds it adds rows up."""

FOLD_FROM: Final = 2000
"""So many rows are added up."""


@dataclass(frozen=True, slots=True)
class Count:
    """Jobs of one status in one theme.

    Args:
        cost: USD that they have cost.
        retries: How often they were tried again.
    """

    jobs: int = 0
    cost: Decimal = Decimal(0)
    retries: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.jobs + other.jobs, self.cost + other.cost, self.retries + other.retries)


class Counts:
    """The counts of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def by_status_and_theme(self) -> Mapping[tuple[JobStatus, str], Count]:
        """The counts now."""
        sums = select(
            job_counts.c.status,
            job_counts.c.theme,
            func.sum(job_counts.c.jobs).label("jobs"),
            func.sum(job_counts.c.cost).label("cost"),
            func.sum(job_counts.c.retries).label("retries"),
            func.count().label("rows"),
        ).group_by(job_counts.c.status, job_counts.c.theme)
        found = self._database.all(sums)
        if sum(row.rows for row in found) >= FOLD_FROM:
            self.fold()
        return {
            (JobStatus(row.status), row.theme): Count(int(row.jobs), row.cost, int(row.retries))
            for row in found
        }

    def by_status(self, theme: str | None = None) -> Mapping[JobStatus, Count]:
        """The counts now, of one theme or of all; every status is there."""
        counts = dict.fromkeys(JobStatus, Count())
        for (status, of_theme), count in self.by_status_and_theme().items():
            if theme in (None, of_theme):
                counts[status] += count
        return counts

    def fold(self) -> None:
        """Add the rows up to one for each status and theme. One process at a time does it."""
        with self._database.write() as connection:
            if connection.dialect.name == "postgresql":
                lock = text("SELECT pg_try_advisory_xact_lock(:lock)")
                if not connection.execute(lock, {"lock": FOLD_LOCK}).scalar():
                    return
            taken = connection.execute(delete(job_counts).returning(*job_counts.c)).all()
            sums: dict[tuple[str, str], Count] = {}
            for row in taken:
                one = Count(int(row.jobs), row.cost, int(row.retries))
                sums[row.status, row.theme] = sums.get((row.status, row.theme), Count()) + one
            rows = [
                {
                    "status": status,
                    "theme": theme,
                    "jobs": count.jobs,
                    "cost": count.cost,
                    "retries": count.retries,
                }
                for (status, theme), count in sums.items()
                if count != Count()
            ]
            if rows:
                connection.execute(insert(job_counts), rows)
