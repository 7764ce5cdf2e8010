"""What happened hour by hour: published, failed, seconds by stage, USD by provider, theme and SKU.

An hour that is over is added up once and finalized: kept as a few rows, whatever happened in it. So
is a day, out of its hours, once all of them are. Only hours that are not final are added up at a
look, so that a month of a million photos is some thousand rows. A final hour stays as it was: a
photo that is made again counts again, when it is.

Hours and days are those of UTC.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    and_,
    case,
    cast,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    type_coerce,
    union_all,
)

from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.money.spending import COUNTED, OPEN
from photopipe_dagster.ledger.tables import Usd, Utc, days, hours, jobs, spending, steps

SKUS_KEPT: Final = 20
"""SKUs that an hour or day keeps, those that cost most: a catalogue may have any number."""

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_HOURS_A_DAY: Final = 24

_SETTLED: Final = timedelta(minutes=10)
"""After its end, an hour is finalized: no transaction that began in it is still open."""


class RollupKind(StrEnum):
    """What is added up."""

    FINAL = "sealed"
    """The mark of an hour or day that is kept."""
    PUBLISHED = "published"
    """Photos that were published and still are DONE, by theme."""
    FAILED = "failed"
    """Photos that failed and are not tried again, by theme."""
    STAGE = "stage"
    """Stages that ended well and made something, by stage, with their seconds."""
    PROVIDER = "provider"
    """Calls that count as paid, by provider, with their USD."""
    THEME = "theme"
    """The same by theme."""
    SKU = "sku"
    """The same by SKU: the costliest."""


@dataclass(frozen=True, slots=True)
class Sum:
    """What one name has come to in one hour or in one day.

    Args:
        begins: The hour's or day's begin, UTC.
        count: Photos, stages or calls.
        amount: USD.
        seconds: Of the stages, together.
    """

    begins: datetime
    measure: RollupKind
    name: str
    count: int
    amount: Decimal = Decimal(0)
    seconds: float = 0.0


class Rollups:
    """Adds up hours and days, and keeps what is settled."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # One at a time: the second one finds done what the first one did.
        self._turn = threading.Lock()

    def sums(self, since: datetime, *, by_hour: bool) -> list[Sum]:
        """What happened since a full hour; by SKU, only the costliest are told.

        Args:
            since: Where days are told, a midnight (UTC).
            by_hour: Whether each hour is told; else each day.
        """
        now = self._database.now()
        with self._turn:
            open_hours, fresh = self._catch_up(since, now)
        told = [] if by_hour else self._kept_days(since)
        # Others keep hours and days meanwhile: nothing of them is told twice.
        over = {each.begins for each in told if each.measure is RollupKind.FINAL}
        others = [hour for hour in _hours(since, now) if _day(hour) not in over]
        kept = [hour for hour in others if hour not in open_hours]
        return [
            *(each for each in told if each.measure is not RollupKind.FINAL),
            *self._kept_hours(kept, 13 if by_hour else 10),
            *(each for each in fresh if _day(each.begins) not in over),
        ]

    def catch_up(self, since: datetime, stop: Callable[[], bool] | None = None) -> None:
        """Keep what can be kept since a full hour, so that no look has to.

        Args:
            stop: Asked before each day: whether to leave the rest to the next time.
        """
        if self._database.one(select(jobs.c.id).limit(1)) is None:
            return  # a new ledger: nothing ever happened
        with self._turn:
            self._catch_up(since, self._database.now(), stop)

    def _catch_up(
        self, since: datetime, now: datetime, stop: Callable[[], bool] | None = None
    ) -> tuple[set[datetime], list[Sum]]:
        """Keep what can be kept; returns the hours that cannot, and what happened in them.

        Where it is stopped, the sums of the hours that were left are not among them.
        """
        over = self._final_days(since)
        asked = [hour for hour in _hours(since, now) if _day(hour) not in over]
        final = self._final_hours(asked)
        missing = [hour for hour in asked if hour not in final]
        fresh: list[Sum] = []
        for begin, end in _ranges(missing):
            if stop is not None and stop():
                break
            with self._database.read() as connection:
                # What is open comes first: what is settled after that look, the sums have.
                waiting = _hours_with_open_spending(connection, begin, end)
                sums = [_sum(row) for row in connection.execute(_all_sums(begin, end))]
            last = now - _HOUR - _SETTLED
            settled = {hour for hour in missing if begin <= hour < end and hour <= last} - waiting
            if settled:
                self._finalize(settled, [each for each in sums if each.begins in settled])
                final |= settled
            fresh += [each for each in sums if each.begins not in settled]
        final_hours = Counter(_day(hour) for hour in asked if hour in final)
        for day, count in final_hours.items():
            if stop is not None and stop():
                break
            if count == _HOURS_A_DAY:
                self._finalize_day(day)
        return {hour for hour in asked if hour not in final}, fresh

    def _finalize(self, settled: Iterable[datetime], sums: Sequence[Sum]) -> None:
        """Keep hours, unless another process was faster."""
        marks = [_row(Sum(hour, RollupKind.FINAL, "", 0)) for hour in sorted(settled)]
        mark = self._database.insert(hours).on_conflict_do_nothing().returning(hours.c.hour)
        with self._database.write() as connection:
            ours = {row.hour for row in connection.execute(mark, marks)}
            rows = [_row(each) for each in sums if each.begins in ours]
            if rows:
                connection.execute(insert(hours), rows)

    def _finalize_day(self, day: datetime) -> None:
        """Keep a day all of whose hours are kept, unless another process was faster."""
        mark = self._database.insert(days).values(
            day=day, measure=RollupKind.FINAL, name="", count=0, amount=Decimal(0), seconds=0.0
        )
        with self._database.write() as connection:
            ours = connection.execute(mark.on_conflict_do_nothing().returning(days.c.day)).first()
            if ours is not None:
                for sums in _sums_of_day(day):
                    connection.execute(insert(days).from_select(list(days.c), sums))

    def _final_days(self, since: datetime) -> set[datetime]:
        query = select(days.c.day).where(days.c.day >= since, days.c.measure == RollupKind.FINAL)
        return {row.day for row in self._database.all(query)}

    def _final_hours(self, among: Sequence[datetime]) -> set[datetime]:
        query = select(hours.c.hour).where(_within(among), hours.c.measure == RollupKind.FINAL)
        return {row.hour for row in self._database.all(query)}

    def _kept_days(self, since: datetime) -> list[Sum]:
        """All of them, the days' marks too."""
        query = select(_text(days.c.day, 10).label("begins"), *(days.c[name] for name in _KEPT))
        return [_sum(row) for row in self._database.all(query.where(days.c.day >= since))]

    def _kept_hours(self, among: Sequence[datetime], digits: int) -> list[Sum]:
        """By the beginning of their text: 10 digits are a day, 13 an hour."""
        if not among:
            return []
        begins = _text(hours.c.hour, digits)
        first = f"{among[0].astimezone(UTC):%Y-%m-%d %H}"[:digits]
        every = (
            select(begins.label("begins"), *_NAMES, *_SUMS)
            .where(_within(among), hours.c.measure.not_in((RollupKind.FINAL, RollupKind.SKU)))
            .group_by(begins, *_NAMES)
        )
        costliest = (
            select(literal(first).label("begins"), *_NAMES, *_SUMS)
            .where(_within(among), hours.c.measure == RollupKind.SKU)
            .group_by(*_NAMES)
            .order_by(func.sum(hours.c.amount).desc(), hours.c.name)
            .limit(SKUS_KEPT)
        )
        with self._database.read() as connection:
            return [_sum(row) for query in (every, costliest) for row in connection.execute(query)]


_KEPT: Final = ("measure", "name", "count", "amount", "seconds")
_NAMES: Final = (hours.c.measure, hours.c.name)
_SUMS: Final = (
    func.sum(hours.c.count).label("count"),
    func.sum(hours.c.amount).label("amount"),
    func.sum(hours.c.seconds).label("seconds"),
)


def _sums_of_day(day: datetime) -> Iterator[Select[Any]]:
    """What the hours of a day come to, as rows of `days`."""
    of_day = (
        select(literal(day, Utc()), *_NAMES, *_SUMS)
        .where(hours.c.hour >= day, hours.c.hour < day + _DAY)
        .group_by(*_NAMES)
    )
    yield of_day.where(hours.c.measure.not_in((RollupKind.FINAL, RollupKind.SKU)))
    costliest = of_day.where(hours.c.measure == RollupKind.SKU)
    yield costliest.order_by(func.sum(hours.c.amount).desc(), hours.c.name).limit(SKUS_KEPT)


def _all_sums(begin: datetime, end: datetime) -> Select[Any]:
    """Everything that is added up between two moments, by hour."""
    done, failed = _text(jobs.c.completed_at, 13), _text(jobs.c.failed_at, 13)
    ended, paid = _text(steps.c.ended_at, 13), _text(spending.c.created_at, 13)
    # What is asked of the state stands in CASE and not in WHERE: else SQLite reads all jobs of a
    # state by its index, and not the few that ended in this time.
    published = _counted(
        RollupKind.PUBLISHED, done, jobs.c.theme, jobs.c.status == JobStatus.DONE
    ).where(jobs.c.completed_at >= begin, jobs.c.completed_at < end)
    for_good = and_(jobs.c.status == JobStatus.FAILED, jobs.c.retry_at.is_(None))
    given_up = _counted(RollupKind.FAILED, failed, jobs.c.theme, for_good).where(
        jobs.c.failed_at >= begin, jobs.c.failed_at < end
    )
    stages = _counted(
        RollupKind.STAGE, ended, steps.c.stage, seconds=func.sum(steps.c.seconds)
    ).where(
        steps.c.ended_at >= begin,
        steps.c.ended_at < end,
        steps.c.error_code.is_(None),
        steps.c.reused.is_(False),
    )
    counts = (
        spending.c.created_at >= begin,
        spending.c.created_at < end,
        spending.c.state.in_(COUNTED),
    )
    amount = func.sum(spending.c.amount)
    providers = _counted(RollupKind.PROVIDER, paid, spending.c.provider, amount=amount).where(
        *counts
    )
    themes = _counted(RollupKind.THEME, paid, spending.c.theme, amount=amount).where(*counts)
    place = func.row_number().over(partition_by=paid, order_by=(amount.desc(), spending.c.sku))
    ranked = (
        _counted(RollupKind.SKU, paid, spending.c.sku, amount=amount)
        .add_columns(place.label("place"))
        .where(*counts, spending.c.amount > 0)
        .subquery()
    )
    skus = select(*(ranked.c[name] for name in ("begins", *_KEPT)))
    skus = skus.where(ranked.c.place <= SKUS_KEPT)
    return select(union_all(published, given_up, stages, providers, themes, skus).subquery())


def _counted(
    measure: RollupKind,
    hour: ColumnElement[str],
    name: ColumnElement[str],
    counts: ColumnElement[bool] | None = None,
    *,
    amount: ColumnElement[Any] | None = None,
    seconds: ColumnElement[Any] | None = None,
) -> Select[Any]:
    return select(
        hour.label("begins"),
        literal(measure.value).label("measure"),
        name.label("name"),
        (func.count() if counts is None else func.sum(case((counts, 1), else_=0))).label("count"),
        type_coerce(literal(Decimal(0), Usd) if amount is None else amount, Usd).label("amount"),
        (literal(0.0) if seconds is None else seconds).label("seconds"),
    ).group_by(hour, name)


def _hours_with_open_spending(
    connection: Connection, begin: datetime, end: datetime
) -> set[datetime]:
    """Hours with calls whose end may still change what they cost."""
    hour = _text(spending.c.created_at, 13)
    query = (
        select(hour.label("begins"))
        .where(spending.c.created_at >= begin, spending.c.created_at < end)
        .where(spending.c.state.in_(OPEN))
        .distinct()
    )
    return {_moment(row.begins) for row in connection.execute(query)}


def _text(moment: ColumnElement[Any], digits: int) -> ColumnElement[str]:
    """A moment's day (10 digits) or hour (13), as text: the same in every database."""
    return func.substr(cast(moment, String), 1, digits)


def _moment(text: str) -> datetime:
    return datetime.strptime(f"{text} 00"[:13], "%Y-%m-%d %H").replace(tzinfo=UTC)


def _sum(row: Any) -> Sum:
    return Sum(
        begins=_moment(row.begins),
        measure=RollupKind(row.measure),
        name=row.name,
        count=int(row.count),
        amount=row.amount or Decimal(0),
        seconds=float(row.seconds or 0),
    )


def _row(each: Sum) -> Mapping[str, object]:
    return {"hour": each.begins} | {name: getattr(each, name) for name in _KEPT}


def _day(hour: datetime) -> datetime:
    return hour.replace(hour=0)


def _within(among: Sequence[datetime]) -> ColumnElement[bool]:
    """Rows of hours, given in order."""
    ranges = (and_(hours.c.hour >= begin, hours.c.hour < end) for begin, end in _ranges(among))
    return or_(false(), *ranges)


def _hours(since: datetime, now: datetime) -> list[datetime]:
    """Begins of all hours from one moment's to another's."""
    first = since.replace(minute=0, second=0, microsecond=0)
    return [first + number * _HOUR for number in range((now - first) // _HOUR + 1)]


def _ranges(found: Sequence[datetime]) -> list[tuple[datetime, datetime]]:
    """Hours in order, as ranges of those that follow each other: of a day at most."""
    ranges: list[tuple[datetime, datetime]] = []
    for hour in found:
        if ranges and ranges[-1][1] == hour and hour - ranges[-1][0] < _DAY:
            ranges[-1] = (ranges[-1][0], hour + _HOUR)
        else:
            ranges.append((hour, hour + _HOUR))
    return ranges
