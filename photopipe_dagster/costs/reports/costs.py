"""Costs of a period as a table, with what they add up to and where the month will end."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final

import pandas as pd

from photopipe_dagster.ledger.money.cost_breakdown import Account, CostBreakdown

GROUPS: Final = ("sku", "theme", "provider", "stage")
COUNTS: Final = ("photos", "attempts", "retries")
AMOUNTS: Final = ("kept_usd", "discarded_usd", "unknown_usd", "under_way_usd", "total_usd")
COLUMNS: Final = (*GROUPS, *COUNTS, *AMOUNTS)

FORECAST_DAYS: Final = 7
"""Whole days whose mean is taken to go on to the month's end."""

_CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class CostReport:
    """What a period cost.

    Args:
        rows: One row for each product, theme, provider and stage; columns as `COLUMNS`, money as
            `Decimal`.
        days: Each day of the period and what it cost, USD.
        published: Photos that were done in it.
        forecast: What the whole month will have cost if it goes on as in the last days, USD;
            ``None`` for a period that is over.
    """

    rows: pd.DataFrame
    days: Sequence[tuple[date, Decimal]]
    published: int
    forecast: Decimal | None = None

    @property
    def total(self) -> Decimal:
        """USD of the period."""
        return sum((amount for _, amount in self.days), Decimal(0))

    def amount(self, column: str) -> Decimal:
        """The sum of one of the `AMOUNTS`."""
        return sum(self.rows[column], Decimal(0))

    @property
    def cost_a_photo(self) -> Decimal | None:
        """USD a published photo, to the cent; ``None`` where none was published."""
        return (self.total / self.published).quantize(_CENT) if self.published else None

    def by(self, column: str) -> list[tuple[str, Decimal]]:
        """USD by one of the `GROUPS`, the largest first."""
        sums: dict[str, Decimal] = {}
        for name, amount in zip(self.rows[column], self.rows["total_usd"], strict=True):
            sums[name] = sums.get(name, Decimal(0)) + amount
        return sorted(sums.items(), key=lambda each: (-each[1], each[0]))


def daily_report(accounts: CostBreakdown, day: date) -> CostReport:
    """The costs of a UTC day."""
    start, end = _span(day, day)
    found = accounts.between(start, end)
    total = sum((account.total for account in found), Decimal(0))
    return CostReport(_frame(found), [(day, total)], accounts.published(start, end))


def monthly_report(accounts: CostBreakdown, month: date, today: date) -> CostReport:
    """The costs of a UTC month.

    Args:
        month: Any day of it.
        today: UTC; days after it are left out, and a month that is under way gets a forecast.
    """
    first = month.replace(day=1)
    last = first.replace(day=monthrange(first.year, first.month)[1])
    shown = [
        first + timedelta(days=offset) for offset in range((min(last, today) - first).days + 1)
    ]
    days = [(day, _total(accounts, day)) for day in shown]
    start, end = _span(first, last)
    forecast = _forecast(days, last) if first <= today <= last else None
    return CostReport(
        _frame(accounts.between(start, end)), days, accounts.published(start, end), forecast
    )


def _forecast(days: Sequence[tuple[date, Decimal]], last: date) -> Decimal:
    """Today counts as it is or as a mean day, whichever is more; the days to come as a mean day."""
    whole = [amount for _, amount in days[:-1]][-FORECAST_DAYS:]
    today, so_far = days[-1]
    mean = sum(whole, Decimal(0)) / len(whole) if whole else so_far
    spent = sum((amount for _, amount in days[:-1]), Decimal(0))
    to_come = (last - today).days
    return (spent + max(so_far, mean) + mean * to_come).quantize(_CENT)


def _total(accounts: CostBreakdown, day: date) -> Decimal:
    return sum((account.total for account in accounts.between(*_span(day, day))), Decimal(0))


def _span(first: date, last: date) -> tuple[datetime, datetime]:
    """From the first day's beginning to the last day's end, UTC."""
    start = datetime.combine(first, time(), UTC)
    return start, datetime.combine(last, time(), UTC) + timedelta(days=1)


def _frame(accounts: Iterable[Account]) -> pd.DataFrame:
    names = [name.removesuffix("_usd") for name in COLUMNS]
    rows = [[getattr(account, name) for name in names] for account in accounts]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(GROUPS, "str") | dict.fromkeys(COUNTS, "int64"))
