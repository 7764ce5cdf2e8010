"""Says, once a day, that the month's spending has passed a threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger


class CostLevel(StrEnum):
    """How loud."""

    WARNING = "warning"
    ALERT = "alert"


@dataclass(frozen=True, slots=True)
class CostAlert:
    """The month's spending is at or above a threshold. USD."""

    level: CostLevel
    spent: Decimal
    threshold: Decimal

    def __str__(self) -> str:
        return (
            f"{self.spent:f} USD have been spent this month (UTC), which is past "
            f"COST_{self.level.upper()}_THRESHOLD_USD={self.threshold:f}. `photopipe costs` shows "
            "for what; COST_LIMIT_DAILY_USD and COST_LIMIT_MONTHLY_USD stop it."
        )


def reached(spent: Decimal, settings: Settings) -> CostAlert | None:
    """The loudest level that a month's spending in USD has reached, if any."""
    thresholds = (
        (CostLevel.ALERT, settings.cost_alert_threshold_usd),
        (CostLevel.WARNING, settings.cost_warning_threshold_usd),
    )
    for level, threshold in thresholds:
        if spent > 0 and spent >= threshold:
            return CostAlert(level, spent, threshold)
    return None


def send_cost_alert(
    ledger: Ledger, settings: Settings, send: Callable[[CostAlert], None]
) -> CostAlert | None:
    """Send what is due: the loudest level that is reached, each at most once a UTC day.

    What was sent is remembered in the ledger, so that neither a restart nor another process says
    it again. If `send` raises, it is due again.

    Returns:
        What was sent.
    """
    alert = reached(ledger.budget.month().spent, settings)
    if alert is None:
        return None
    today = ledger.database.now().date().isoformat()
    name = f"cost_{alert.level}"
    before = ledger.watermarks.get(name)
    if not ledger.watermarks.first_of_day(name, today, f"{alert.spent:f} USD"):
        return None
    try:
        send(alert)
    except BaseException:
        ledger.watermarks.set(name, before or "")
        raise
    return alert
