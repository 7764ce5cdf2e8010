"""The budget: hard limits of what may be spent in a UTC day and in a UTC month.

A limit is checked in the transaction that reserves the spending, and such transactions take turns
(SQLite has one writer; Postgres is asked for a lock): photos and processes side by side can never
overshoot together. What counts is what `spending.COUNTED` says, by the moment of its reservation.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from sqlalchemy import Connection, text

from photopipe_dagster.core.errors import BudgetExceededError
from photopipe_dagster.core.money import usd
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.money.running_total import RunningTotal

BUDGET_LOCK: Final = 0x627564676574
"""Postgres advisory lock: who holds it reserves spending."""

PRICE_DETAIL: Final = "price_usd"
"""Name, in the details of a `BudgetExceededError`, of what the refused purchase costs."""

Span = Literal["day", "month"]

_VARIABLES: Final[dict[Span, str]] = {
    "day": "COST_LIMIT_DAILY_USD",
    "month": "COST_LIMIT_MONTHLY_USD",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """USD that may be spent at most; ``None``: as much as you like."""

    day: Decimal | None = None
    month: Decimal | None = None


NO_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Period:
    """What has been spent in a period that is under way, and what may be.

    Args:
        spent: USD, with what is reserved.
        limit: USD; ``None``: as much as you like.
        ends: When the next one begins, UTC.
    """

    span: Span
    spent: Decimal
    limit: Decimal | None
    ends: datetime

    @property
    def room(self) -> Decimal | None:
        """USD that are left, never below 0; ``None``: as much as you like."""
        return None if self.limit is None else max(Decimal(0), self.limit - self.spent)

    @property
    def variable(self) -> str:
        """The setting that limits it."""
        return _VARIABLES[self.span]

    def describe(self) -> str:
        """Spent, limit and what is left, in a line."""
        says = f"{'Today' if self.span == 'day' else 'This month'} (UTC): {usd(self.spent)} USD"
        if self.limit is None or self.room is None:
            return f"{says}, no limit ({_VARIABLES[self.span]} is empty)"
        return f"{says} of {usd(self.limit)}, {usd(self.room)} left ({_VARIABLES[self.span]})"

    def describe_refusal(self, amount: Decimal) -> str:
        """Why `amount` USD may not be spent, when it goes on, and what to raise."""
        variable = _VARIABLES[self.span]
        says = (
            f"The {self.span}'s limit is {self.limit:f} USD ({variable}); {self.spent:f} USD are "
            f"spent, and this costs {amount:f} USD. "
        )
        if self.limit is not None and amount > self.limit:
            return says + f"That is more than the limit itself: raise {variable}."
        return says + (
            f"It continues automatically after {self.ends:%Y-%m-%d %H:%M} UTC, or once {variable} "
            f"is "
            "raised."
        )


class Budget:
    """The budget of the ledger.

    Args:
        database: Where spending is written.
        limits: What may be spent.
    """

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self.limits = limits
        self._totals: dict[Span, RunningTotal] = {}
        self._ever = RunningTotal(datetime.min.replace(tzinfo=UTC))

    def day(self) -> Period:
        """The UTC day that is under way."""
        with self._database.read() as connection:
            return self._period(connection, "day")

    def month(self) -> Period:
        """The UTC month that is under way."""
        with self._database.read() as connection:
            return self._period(connection, "month")

    def room(self) -> Decimal | None:
        """USD that may be spent now; ``None``: as much as you like."""
        with self._database.read() as connection:
            rooms = [period.room for period in self._limited(connection)]
        return min((room for room in rooms if room is not None), default=None)

    def ever_paid(self) -> Decimal:
        """USD that were paid, ever, without what is only reserved; it never falls."""
        with self._database.read() as connection:
            self._ever.spent(connection)
        return self._ever.settled

    def refusal(self, connection: Connection, amount: Decimal) -> BudgetExceededError | None:
        """Why `amount` USD may not be reserved in this writing transaction; ``None``: they may.

        Until the transaction ends, no other reserves.
        """
        # Without limits too: `RunningTotal` relies on it.
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": BUDGET_LOCK})
        exceeded = [
            period
            for period in self._limited(connection)
            if period.room is not None and amount > period.room
        ]
        if not exceeded:
            return None
        return BudgetExceededError(
            "Nothing was paid for this photo. "
            + " ".join(period.describe_refusal(amount) for period in exceeded),
            details={
                PRICE_DETAIL: str(amount),
                "limits": {
                    period.span: {
                        "limit_usd": str(period.limit),
                        "spent_usd": str(period.spent),
                        "ends": period.ends.isoformat(),
                    }
                    for period in exceeded
                },
            },
        )

    def _limited(self, connection: Connection) -> list[Period]:
        limits: dict[Span, Decimal | None] = {"day": self.limits.day, "month": self.limits.month}
        return [self._period(connection, span) for span in limits if limits[span] is not None]

    def _period(self, connection: Connection, span: Span) -> Period:
        begin, end = _bounds(span, self._database.now())
        total = self._totals.get(span)
        if total is None or total.since != begin:
            total = self._totals[span] = RunningTotal(begin)
        limit = self.limits.day if span == "day" else self.limits.month
        return Period(span, total.spent(connection), limit, end)


def _bounds(span: Span, now: datetime) -> tuple[datetime, datetime]:
    """Begin and end of the day or month that a UTC moment is in."""
    begin = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if span == "day":
        return begin, begin + timedelta(days=1)
    begin = begin.replace(day=1)
    return begin, (begin + timedelta(days=32)).replace(day=1)
