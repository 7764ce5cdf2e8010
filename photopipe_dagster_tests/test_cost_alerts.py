from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.costs.thresholds import CostAlert, CostLevel, send_cost_alert
from photopipe_dagster.ledger import Ledger

SETTINGS: Any = SimpleNamespace(
    cost_warning_threshold_usd=Decimal("1.00"), cost_alert_threshold_usd=Decimal("2.00")
)


class Month:
    def __init__(self, folder: Path) -> None:
        self.now = datetime(2026, 11, 5, 12, tzinfo=UTC)
        self.url = f"sqlite:///{folder}/ledger.db"
        self.reopen()
        self.ledger.database.migrate()

    def reopen(self) -> None:
        self.ledger = Ledger(self.url, clock=lambda: self.now)

    def spend(self, usd: str) -> None:
        self.ledger.spending.reserve(
            usd,
            key=PhotoKey("A", "0" * 64, "default"),
            stage=Stage.MASK,
            provider="freepik",
            amount=Decimal(usd),
            owner=usd,
        )

    def look(self) -> list[CostLevel]:
        sent: list[CostAlert] = []
        send_cost_alert(self.ledger, SETTINGS, sent.append)
        return [alert.level for alert in sent]


@pytest.fixture
def month(tmp_path: Path) -> Month:
    return Month(tmp_path)


def test_each_level_is_said_once_a_day_whoever_looks(month: Month):
    assert month.look() == []
    month.spend("0.99")
    assert month.look() == []
    month.spend("0.01")
    assert month.look() == [CostLevel.WARNING]
    month.reopen()
    assert month.look() == []
    assert month.ledger.watermarks.get("cost_warning") == "2026-11-05 1.00 USD"
    month.spend("1.50")
    assert [month.look(), month.look()] == [[CostLevel.ALERT], []]
    month.now += timedelta(days=1)
    assert [month.look(), month.look()] == [[CostLevel.ALERT], []]
    month.now = datetime(2026, 12, 1, tzinfo=UTC)
    assert month.look() == []


def test_what_could_not_be_sent_is_due_again(month: Month):
    def broken(alert: CostAlert) -> None:
        assert "2.5" in str(alert)
        raise ConnectionError

    month.spend("2.50")
    with pytest.raises(ConnectionError):
        send_cost_alert(month.ledger, SETTINGS, broken)
    assert month.look() == [CostLevel.ALERT]
