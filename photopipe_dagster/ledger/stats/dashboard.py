"""What the dashboard shows: figures of a period, and what is stuck.

Every query here is bounded, whatever the number of jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Select, select

from photopipe_dagster.core.photo import Stage
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.jobs.model import IN_PROGRESS, Job, to_job
from photopipe_dagster.ledger.stats.rollups import RollupKind, Rollups, Sum
from photopipe_dagster.ledger.tables import jobs

STALLED_AFTER: Final = timedelta(hours=1)
"""A job under way that has made no step for so long is stuck."""

DAYS_SHOWN: Final = 30
"""The longest period that is looked at."""

SKUS_SHOWN: Final = 8

_LOOKED_AT: Final = 2000
"""Of jobs under way, the oldest so many are looked at for one that is stuck."""


@dataclass(frozen=True, slots=True)
class Point:
    """One hour or one day of a period.

    Args:
        begins: UTC.
    """

    begins: datetime
    published: int = 0
    failed: int = 0
    cost: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Figures:
    """A period in figures.

    Args:
        points: Its hours or days, in order, those without anything too.
        costs_by_provider: USD, most first; so are the others.
        costs_by_sku: The costliest, each from the costliest of every hour.
        seconds_by_stage: How long a photo takes in each stage on average.
    """

    points: tuple[Point, ...]
    costs_by_provider: Mapping[str, Decimal]
    costs_by_theme: Mapping[str, Decimal]
    costs_by_sku: Mapping[str, Decimal]
    seconds_by_stage: Mapping[Stage, float]

    @property
    def published(self) -> int:
        """Photos."""
        return sum(point.published for point in self.points)

    @property
    def failed(self) -> int:
        """Photos that are not tried again."""
        return sum(point.failed for point in self.points)

    @property
    def success_rate(self) -> float | None:
        """Share of the published among those that ended, 0 to 1; ``None`` if none did."""
        ended = self.published + self.failed
        return self.published / ended if ended else None

    @property
    def cost(self) -> Decimal:
        """USD."""
        return sum((point.cost for point in self.points), Decimal(0))


class Dashboard:
    """Looks at the ledger as a person does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rollups = Rollups(database)

    def figures(self, days: int) -> Figures:
        """Today (UTC) and the days before, together so many; a single day by its hours."""
        since = self._midnight(days)
        sums = self._rollups.sums(since, by_hour=days == 1)
        step = timedelta(hours=1) if days == 1 else timedelta(days=1)
        begins = [since + number * step for number in range(24 if days == 1 else days)]
        return _figures(begins, step, sums)

    def warm_up(self, stop: Callable[[], bool] | None = None) -> None:
        """Add up what `figures` shows of `DAYS_SHOWN`, so that nobody who looks waits for it.

        Args:
            stop: Asked before each day: whether to leave the rest to the next time.
        """
        self._rollups.catch_up(self._midnight(DAYS_SHOWN), stop)

    def _midnight(self, days: int) -> datetime:
        """When the first of so many days began, today being the last; UTC."""
        now = self._database.now().astimezone(UTC)
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return today - timedelta(days=days - 1)

    def given_up(self, limit: int) -> list[Job]:
        """Jobs that failed and wait for a person, last ones first."""
        query = (
            select(jobs)
            .where(jobs.c.failed_at.is_not(None))  # FAILED, but read by that index
            .where(jobs.c.retry_at.is_(None))
            .order_by(jobs.c.failed_at.desc())
        )
        return self._jobs(query.limit(limit))

    def stalled(self, limit: int) -> list[Job]:
        """Jobs under way that nobody works on, oldest first."""
        since = self._database.now() - STALLED_AFTER
        oldest = (
            select(jobs).where(IN_PROGRESS, jobs.c.created_at < since).limit(_LOOKED_AT).subquery()
        )
        query = select(oldest).where(oldest.c.updated_at < since).order_by(oldest.c.updated_at)
        return self._jobs(query.limit(limit))

    def _jobs(self, query: Select[Any]) -> list[Job]:
        return [to_job(row) for row in self._database.all(query)]


def _figures(begins: Iterable[datetime], step: timedelta, sums: Iterable[Sum]) -> Figures:
    by_measure: dict[RollupKind, list[Sum]] = {measure: [] for measure in RollupKind}
    for each in sums:
        by_measure[each.measure].append(each)

    def within(begin: datetime, measure: RollupKind) -> list[Sum]:
        return [each for each in by_measure[measure] if begin <= each.begins < begin + step]

    points = tuple(
        Point(
            begin,
            sum(each.count for each in within(begin, RollupKind.PUBLISHED)),
            sum(each.count for each in within(begin, RollupKind.FAILED)),
            sum((each.amount for each in within(begin, RollupKind.PROVIDER)), Decimal(0)),
        )
        for begin in begins
    )
    seconds = _totals(by_measure[RollupKind.STAGE], lambda each: each.seconds, 0.0)
    count = _totals(by_measure[RollupKind.STAGE], lambda each: each.count, 0)
    costliest = _costs(by_measure[RollupKind.SKU])
    return Figures(
        points,
        _costs(by_measure[RollupKind.PROVIDER]),
        _costs(by_measure[RollupKind.THEME]),
        dict(list(costliest.items())[:SKUS_SHOWN]),
        {stage: seconds[stage] / count[stage] for stage in Stage if count.get(stage)},
    )


def _costs(sums: Iterable[Sum]) -> dict[str, Decimal]:
    totals = _totals(sums, lambda each: each.amount, Decimal(0))
    return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))


def _totals(sums: Iterable[Sum], value: Callable[[Sum], Any], zero: Any) -> dict[str, Any]:
    totals: dict[str, Any] = {}
    for each in sums:
        totals[each.name] = totals.get(each.name, zero) + value(each)
    return totals
