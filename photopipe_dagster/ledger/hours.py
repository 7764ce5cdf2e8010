"""What happened hour by hour: published, failed, seconds by stage, USD by provider, theme and SKU.

An hour that is over is added up once and sealed: kept as a few rows, whatever happened in it. Only
hours that are not sealed are added up at a look, so that a month of a million photos is some
thousand rows. A sealed hour stays as it was: a photo that is made again counts again, when it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    func,
    insert,
    literal,
    select,
    type_coerce,
    union_all,
)

from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.job import CANCELLED
from photopipe_dagster.ledger.spending import COUNTED, OPEN
from photopipe_dagster.ledger.statuses import JobStatus
from photopipe_dagster.ledger.tables import Usd, hours, jobs, spending, steps

SKUS_AN_HOUR: Final = 20
"""SKUs that an hour keeps, those that cost most first: a catalogue may have any number."""

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)

_SETTLED: Final = timedelta(minutes=10)
"""After its end, an hour is sealed: no transaction that began in it is still open."""


class Measure(StrEnum):
    """What is added up."""

    SEALED = "sealed"
    """The hour's mark."""
    PUBLISHED = "published"
    """Photos that were published and still are DONE, by theme."""
    FAILED = "failed"
    """Photos that failed and are not tried again, by theme; without those that were cancelled."""
    STAGE = "stage"
    """Stages that ended well and made something, by stage, with their seconds."""
    PROVIDER = "provider"
    """Calls that count as paid, by provider, with their USD."""
    THEME = "theme"
    """The same by theme."""
    SKU = "sku"
    """The same by SKU: the hour's costliest."""


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
    measure: Measure
    name: str
    count: int
    amount: Decimal = Decimal(0)
    seconds: float = 0.0


class Hours:
    """Adds up hours, and keeps what is settled.

    Args:
        database: Where jobs, steps and spending are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def sums(self, since: datetime, *, by_hour: bool) -> list[Sum]:
        """What happened since a full hour; by SKU, only the costliest are told.

        Args:
            by_hour: Whether each hour is told; else each day.
        """
        now = self._database.now()
        fresh = self._catch_up(since, now)
        digits = 13 if by_hour else 10
        begins = _text(hours.c.hour, digits)
        query = (
            select(
                begins.label("begins"),
                hours.c.measure,
                hours.c.name,
                func.sum(hours.c.count).label("count"),
                func.sum(hours.c.amount).label("amount"),
                func.sum(hours.c.seconds).label("seconds"),
            )
            .where(hours.c.hour >= since)
            .where(hours.c.measure.not_in((Measure.SEALED, Measure.SKU)))
            .group_by(begins, hours.c.measure, hours.c.name)
        )
        costliest = (
            select(
                literal(_written(since, digits)).label("begins"),
                hours.c.measure,
                hours.c.name,
                func.sum(hours.c.count).label("count"),
                func.sum(hours.c.amount).label("amount"),
                func.sum(hours.c.seconds).label("seconds"),
            )
            .where(hours.c.hour >= since, hours.c.measure == Measure.SKU)
            .group_by(hours.c.measure, hours.c.name)
            .order_by(func.sum(hours.c.amount).desc())
            .limit(SKUS_AN_HOUR)
        )
        with self._database.read() as connection:
            kept = [*connection.execute(query), *connection.execute(costliest)]
        sums = [_sum(row) for row in kept]
        return sums + fresh

    def _catch_up(self, since: datetime, now: datetime) -> list[Sum]:
        """Seal what can be sealed; returns what happened in the other hours."""
        query = select(hours.c.hour).where(hours.c.hour >= since, hours.c.measure == Measure.SEALED)
        sealed = {row.hour for row in self._database.all(query)}
        missing = [hour for hour in _hours(since, now) if hour not in sealed]
        fresh: list[Sum] = []
        for begin, end in _ranges(missing):
            with self._database.read() as connection:
                sums = [_sum(row) for row in connection.execute(_all_sums(begin, end))]
                waiting = _hours_with_open_spending(connection, begin, end)
            last = now - _HOUR - _SETTLED
            settled = {hour for hour in missing if begin <= hour < end and hour <= last} - waiting
            if settled:
                self._seal(settled, [each for each in sums if each.begins in settled])
            fresh += [each for each in sums if each.begins not in settled]
        return fresh

    def _seal(self, settled: Iterable[datetime], sums: Sequence[Sum]) -> None:
        """Keep hours, unless another process was faster."""
        marks = [_row(Sum(hour, Measure.SEALED, "", 0)) for hour in sorted(settled)]
        mark = self._database.insert(hours).on_conflict_do_nothing().returning(hours.c.hour)
        with self._database.write() as connection:
            ours = {row.hour for row in connection.execute(mark, marks)}
            rows = [_row(each) for each in sums if each.begins in ours]
            if rows:
                connection.execute(insert(hours), rows)


def _all_sums(begin: datetime, end: datetime) -> Select[Any]:
    """Everything that is added up between two moments, by hour."""
    done, failed = _text(jobs.c.completed_at, 13), _text(jobs.c.failed_at, 13)
    ended, paid = _text(steps.c.ended_at, 13), _text(spending.c.created_at, 13)
    # What is asked of the state stands in CASE and not in WHERE: else SQLite reads all jobs of a
    # state by its index, and not the few that ended in this time.
    published = _counted(
        Measure.PUBLISHED, done, jobs.c.theme, jobs.c.status == JobStatus.DONE
    ).where(jobs.c.completed_at >= begin, jobs.c.completed_at < end)
    for_good = and_(jobs.c.status == JobStatus.FAILED, jobs.c.retry_at.is_(None), not_cancelled())
    given_up = _counted(Measure.FAILED, failed, jobs.c.theme, for_good).where(
        jobs.c.failed_at >= begin, jobs.c.failed_at < end
    )
    stages = _counted(Measure.STAGE, ended, steps.c.stage, seconds=func.sum(steps.c.seconds)).where(
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
    providers = _counted(Measure.PROVIDER, paid, spending.c.provider, amount=amount).where(*counts)
    themes = _counted(Measure.THEME, paid, spending.c.theme, amount=amount).where(*counts)
    place = func.row_number().over(partition_by=paid, order_by=(amount.desc(), spending.c.sku))
    ranked = (
        _counted(Measure.SKU, paid, spending.c.sku, amount=amount)
        .add_columns(place.label("place"))
        .where(*counts, spending.c.amount > 0)
        .subquery()
    )
    names = ("begins", "measure", "name", "count", "amount", "seconds")
    skus = select(*(ranked.c[name] for name in names)).where(ranked.c.place <= SKUS_AN_HOUR)
    every = union_all(published, given_up, stages, providers, themes, skus).subquery()
    return select(every)


def not_cancelled() -> ColumnElement[bool]:
    """Of failed jobs: nobody stopped them."""
    kind: ColumnElement[str] = jobs.c.error_details["kind"].as_string()
    return kind.is_distinct_from(CANCELLED)


def _counted(
    measure: Measure,
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


def _written(moment: datetime, digits: int) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H}"[:digits]


def _moment(text: str) -> datetime:
    return datetime.strptime(f"{text} 00"[:13], "%Y-%m-%d %H").replace(tzinfo=UTC)


def _sum(row: Any) -> Sum:
    return Sum(
        begins=_moment(row.begins),
        measure=Measure(row.measure),
        name=row.name,
        count=int(row.count),
        amount=row.amount or Decimal(0),
        seconds=float(row.seconds or 0),
    )


def _row(each: Sum) -> Mapping[str, object]:
    return {
        "hour": each.begins,
        "measure": each.measure.value,
        "name": each.name,
        "count": each.count,
        "amount": each.amount,
        "seconds": each.seconds,
    }


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
