"""Steps: what runs did to photos, stage by stage."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, Select, case, func, insert, select

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.tables import steps


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of one photo in one run.

    Args:
        seconds: How long it took, waiting included.
        reused: Whether the picture was there already.
        cost: USD paid in it.
        error_code: Why it failed; ``None`` if it did not.
        ended_at: UTC; set by the ledger.
    """

    stage: Stage
    run_id: str
    seconds: float
    reused: bool = False
    cost: Decimal = Decimal(0)
    provider: str | None = None
    error_code: ErrorCode | None = None
    ended_at: datetime | None = None


_NEW_STEP: Final = insert(steps)


def record(connection: Connection, job_id: str, step: Step, now: datetime) -> None:
    """Write a step down, in a transaction of the caller's."""
    connection.execute(_NEW_STEP, asdict(step) | {"job_id": job_id, "ended_at": now})


BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds: bounds of the histogram of how long stages take."""

_SETTLED: Final = timedelta(seconds=5)
"""After which no step is written down for a moment in the past."""


@dataclass(frozen=True, slots=True)
class Durations:
    """How long a stage took, each time that it made something.

    Args:
        within: How many took no longer than each of `BUCKETS`.
        count: How many there were.
        seconds: All together.
    """

    within: tuple[int, ...]
    count: int
    seconds: float


class Steps:
    """Looks at steps."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._since = database.now()
        self._made: dict[Stage, Durations] = {}
        self._errors: Counter[tuple[Stage, ErrorCode]] = Counter()

    def totals(self) -> tuple[Mapping[Stage, Durations], Mapping[tuple[Stage, ErrorCode], int]]:
        """How long stages took, and how they failed, since this process began to look.

        What was there already does not count among what was made.
        Each look reads what came since the last one, so it costs what has happened in between.
        """
        with self._lock:
            until = self._database.now() - _SETTLED
            if until > self._since:
                for row in self._database.all(_sums(self._since, until)):
                    self._add(row)
                self._since = until
            return dict(self._made), dict(self._errors)

    def _add(self, row: Any) -> None:
        stage = Stage(row.stage)
        if row.error_code is not None:
            self._errors[stage, ErrorCode(row.error_code)] += row.count
            return
        if row.reused:
            return
        known = self._made.get(stage, Durations((0,) * len(BUCKETS), 0, 0.0))
        self._made[stage] = Durations(
            within=tuple(
                old + row._mapping[f"within_{position}"]
                for position, old in enumerate(known.within)
            ),
            count=known.count + row.count,
            seconds=known.seconds + row.seconds,
        )

    def count_made_by(self, provider: str, since: datetime | None = None) -> int:
        """How many pictures a provider has made since a moment, or ever; not those reused."""
        query = select(func.count()).where(
            steps.c.provider == provider, steps.c.error_code.is_(None), ~steps.c.reused
        )
        if since is not None:
            query = query.where(steps.c.ended_at >= since)
        return self._database.value(query) or 0

    def of_job(self, job_id: str) -> list[Step]:
        """All steps of a job, oldest first."""
        columns = [steps.c[field.name] for field in fields(Step)]
        query = select(*columns).where(steps.c.job_id == job_id).order_by(steps.c.id)
        return [_step(row) for row in self._database.all(query)]


def _sums(since: datetime, until: datetime) -> Select[Any]:
    within = [
        func.sum(case((steps.c.seconds <= bound, 1), else_=0)).label(f"within_{position}")
        for position, bound in enumerate(BUCKETS)
    ]
    return (
        select(
            steps.c.stage,
            steps.c.reused,
            steps.c.error_code,
            func.count().label("count"),
            func.sum(steps.c.seconds).label("seconds"),
            *within,
        )
        .where(steps.c.ended_at > since, steps.c.ended_at <= until)
        .group_by(steps.c.stage, steps.c.reused, steps.c.error_code)
    )


def _step(row: Any) -> Step:
    code = None if row.error_code is None else ErrorCode(row.error_code)
    return replace(Step(**row._mapping), stage=Stage(row.stage), error_code=code)
