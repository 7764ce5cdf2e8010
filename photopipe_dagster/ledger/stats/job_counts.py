"""How many jobs there are, by status, theme and the month they came in, without counting them.

Each change of a job writes down, in its own transaction, what it takes from one count and adds to
another (triggers of the database do, so no change is forgotten). Writers only ever add rows, so
they neither wait for one another nor lock each other out; a sum over the rows is exact at every
moment. Now and then the rows are added up to a few.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    delete,
    false,
    func,
    insert,
    or_,
    select,
    text,
    true,
)

from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.tables import job_counts, jobs

COMPACT_LOCK: Final = 0x636F756E7473
"""Postgres advisory lock: who holds it adds rows up."""

COMPACT_FROM: Final = 2000
"""So many rows more are added up."""

DEEP: Final = 10_000
"""Jobs of a list that are passed over one by one; of more, whole months are."""


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
        self._left = 0
        """Rows that were left when this process last added them up."""

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
        if sum(row.rows for row in found) >= self._left + COMPACT_FROM:
            self.compact()
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

    def skip(
        self, offset: int, *, statuses: Collection[JobStatus] = (), theme: str | None = None
    ) -> tuple[ColumnElement[bool], int]:
        """Where a list of these jobs, newest first, begins after so many.

        Whole months are skipped without reading them, so that deep pages cost no more.

        Args:
            statuses: Of the jobs; empty: any.

        Returns:
            A condition on the jobs, and how many of those that meet it are still to be skipped.
        """
        if offset < DEEP:
            return true(), offset
        found = self.find(offset, statuses=statuses, theme=theme)
        if found is None:
            return false(), 0
        end, before = found
        return jobs.c.created_at < end, before

    def find(
        self, place: int, *, statuses: Collection[JobStatus] = (), theme: str | None = None
    ) -> tuple[datetime, int] | None:
        """Where a place is in the list of these jobs, newest first.

        Args:
            statuses: Of the jobs; empty: any.

        Returns:
            The end of the month that it is in, and how many jobs of that month come before it;
            ``None`` beyond the list's end.
        """
        query = select(job_counts.c.month, func.sum(job_counts.c.jobs).label("jobs"))
        if statuses:
            query = query.where(job_counts.c.status.in_(statuses))
        if theme is not None:
            query = query.where(job_counts.c.theme == theme)
        query = query.group_by(job_counts.c.month).order_by(job_counts.c.month.desc())
        for row in self._database.all(query):
            if place < row.jobs:
                begin = datetime.strptime(row.month, "%Y-%m").replace(tzinfo=UTC)
                return (begin + timedelta(days=31)).replace(day=1), place
            place -= int(row.jobs)
        return None

    def compact(self) -> None:
        """Add the rows up to one for each month, status and theme. One process at a time does."""
        with self._database.write() as connection:
            if connection.dialect.name == "postgresql":
                lock = text("SELECT pg_try_advisory_xact_lock(:lock)")
                if not connection.execute(lock, {"lock": COMPACT_LOCK}).scalar():
                    return
                _compact_on_postgres(connection)
            else:
                _compact_on_sqlite(connection)
            left = connection.execute(select(func.count()).select_from(job_counts)).scalar()
        self._left = left or 0


_GROUPS: Final = ("month", "status", "theme")
_SUMS: Final = ("jobs", "cost", "retries")
_NAMES: Final = (*_GROUPS, *_SUMS)


def _compact_on_postgres(connection: Connection) -> None:
    # In one statement: what others add meanwhile is neither taken nor added up.
    taken = delete(job_counts).returning(*(job_counts.c[name] for name in _NAMES)).cte("taken")
    sums = insert(job_counts).from_select(_NAMES, _sums(taken))
    connection.execute(sums.add_cte(taken))


def _compact_on_sqlite(connection: Connection) -> None:
    # Nobody else writes meanwhile.
    last = connection.execute(select(func.max(job_counts.c.id))).scalar()
    if last is not None:
        old = job_counts.c.id <= last
        connection.execute(insert(job_counts).from_select(_NAMES, _sums(job_counts).where(old)))
        connection.execute(delete(job_counts).where(old))


def _sums(rows: FromClause) -> Select[Any]:
    """One row for each month, status and theme, without those that come to nothing."""
    sums = [func.sum(rows.c[name]) for name in _SUMS]
    groups = [rows.c[name] for name in _GROUPS]
    return select(*groups, *sums).group_by(*groups).having(or_(*(each != 0 for each in sums)))
