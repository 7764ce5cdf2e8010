"""How often jobs came to each status, ever: what counters of monitoring show, as it never falls.

Each change of a status adds a row, in its own transaction (triggers of the database do). Now and
then the rows are added up to one for each status.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import delete, func, insert, select

from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.tables import job_arrivals

COMPACT_FROM: Final = 2000
"""So many rows are added up."""

_COLUMNS: Final = ("status", "jobs")


class Arrivals:
    """The arrivals of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def by_status(self) -> Mapping[JobStatus, int]:
        """How often a job came to each status; every status is there."""
        sums = select(job_arrivals.c.status, func.sum(job_arrivals.c.jobs).label("jobs"))
        found = self._database.all(sums.group_by(job_arrivals.c.status))
        return dict.fromkeys(JobStatus, 0) | {JobStatus(row.status): int(row.jobs) for row in found}

    def compact(self) -> None:
        """Add the rows up to one for each status, if there are many."""
        rows = self._database.value(select(func.count()).select_from(job_arrivals)) or 0
        if rows < COMPACT_FROM:
            return
        with self._database.write() as connection:
            # What is taken is what is added up, anyone who else writes or adds up meanwhile.
            taken = delete(job_arrivals).returning(*(job_arrivals.c[name] for name in _COLUMNS))
            totals: dict[str, int] = {}
            for status, jobs in connection.execute(taken):
                totals[status] = totals.get(status, 0) + jobs
            if totals:
                connection.execute(
                    insert(job_arrivals),
                    [{"status": status, "jobs": jobs} for status, jobs in sorted(totals.items())],
                )
