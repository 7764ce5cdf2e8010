"""How the budget stands, for whoever shows or measures it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from photopipe_dagster.core.errors import BUDGET
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.costs.thresholds import Level, reached
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.money.budget import Period


@dataclass(frozen=True, slots=True)
class BudgetState:
    """What is spent, and what it is measured by. USD, with what is reserved.

    Args:
        day: The UTC day that is under way, with its limit.
        month: The UTC month that is under way, with its limit.
        warning: The month's spending at which to warn.
        alert: The month's spending at which to alert.
        level: The loudest of these that is reached; ``None``: neither.
        waiting: Photos that wait for budget.
    """

    day: Period
    month: Period
    warning: Decimal
    alert: Decimal
    level: Level | None
    waiting: int

    @classmethod
    def read(cls, ledger: Ledger, settings: Settings) -> Self:
        """The state now."""
        month = ledger.budget.month()
        found = reached(month.spent, settings)
        return cls(
            day=ledger.budget.day(),
            month=month,
            warning=settings.cost_warning_threshold_usd,
            alert=settings.cost_alert_threshold_usd,
            level=None if found is None else found.level,
            waiting=ledger.dispatches.waiting_for().get(BUDGET, 0),
        )

    @property
    def severity(self) -> int:
        """The level as a number to measure: 0 neither, 1 warning, 2 alert."""
        return {None: 0, Level.WARNING: 1, Level.ALERT: 2}[self.level]
