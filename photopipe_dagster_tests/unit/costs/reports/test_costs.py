from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.costs.reports.chart import bar_chart
from photopipe_dagster.costs.reports.costs import COLUMNS, daily_report, monthly_report
from photopipe_dagster.costs.reports.summary import as_tables, as_text
from photopipe_dagster.defs.assets.cost_reports import daily_costs, monthly_costs
from photopipe_dagster.defs.io_manager import PictureIOManager
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.money.spending import SpendState
from photopipe_dagster.runtime.services import shared_ledger
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster_tests.support.dagster_home import dagster_instance
from photopipe_dagster_tests.unit.ledger.conftest import Clock
from photopipe_dagster_tests.unit.operations.notifications.test_channels import listening

MONTH = date(2026, 11, 1)


def photo(number: int, theme: str = "default") -> PhotoKey:
    return PhotoKey(f"SKU|{number}", f"{number:064x}", theme)


def spend(
    ledger: Ledger,
    key: PhotoKey,
    state: SpendState = SpendState.CHARGED,
    *,
    stage: Stage = Stage.MASK,
    amount: str = "0.02",
    discarded: bool = False,
) -> None:
    ledger.intake.submit(key, "poll")
    spent = ledger.spending.reserve(
        f"{key}/{stage}",
        key=key,
        stage=stage,
        provider="freepik",
        amount=Decimal(amount),
        owner="me",
    )
    if state is not SpendState.RESERVED:
        ledger.spending.settle(spent.id, state, discarded=discarded)


def test_a_day_is_told_apart_by_what_became_of_the_money(ledger: Ledger):
    spend(ledger, photo(1), discarded=True)
    spend(ledger, photo(1))
    spend(ledger, photo(2), SpendState.UNKNOWN)
    spend(ledger, photo(3), SpendState.VOID)
    spend(ledger, photo(4), SpendState.RESERVED, stage=Stage.BACKGROUND, amount="0.10")
    report = daily_report(ledger.cost_breakdown, date(2026, 11, 1))
    assert list(report.rows.columns) == list(COLUMNS)
    assert report.rows["sku"].tolist() == ["SKU|1", "SKU|2", "SKU|4"]
    first = report.rows.iloc[0]
    assert (first["photos"], first["attempts"], first["retries"]) == (1, 2, 1)
    assert first["kept_usd"] == first["discarded_usd"] == Decimal("0.02")
    assert report.amount("unknown_usd") == Decimal("0.02")
    assert report.amount("under_way_usd") == Decimal("0.10")
    assert report.total == ledger.spending.total() == Decimal("0.16")
    assert report.by("stage") == [("background", Decimal("0.10")), ("mask", Decimal("0.06"))]


def test_a_day_ends_at_midnight_utc(ledger: Ledger, clock: Clock):
    clock.now = datetime(2026, 11, 1, 23, 59, 59, 999999, UTC)
    spend(ledger, photo(1))
    clock.now = datetime(2026, 11, 2, tzinfo=UTC)
    spend(ledger, photo(2))
    assert daily_report(ledger.cost_breakdown, date(2026, 11, 1)).rows["sku"].tolist() == ["SKU|1"]
    assert daily_report(ledger.cost_breakdown, date(2026, 11, 2)).rows["sku"].tolist() == ["SKU|2"]


def test_a_month_is_the_sum_of_its_days_to_the_cent(ledger: Ledger, clock: Clock):
    for day in range(1, 31):
        clock.now = datetime(2026, 11, day, 8, tzinfo=UTC)
        spend(ledger, photo(day), amount="0.07")
    report = monthly_report(ledger.cost_breakdown, MONTH, date(2026, 12, 24))
    assert len(report.days) == 30
    assert report.total == ledger.spending.total() == Decimal("2.10")
    assert sum(report.rows["total_usd"]) == Decimal("2.10")
    assert report.forecast is None


def test_the_forecast_goes_on_as_the_last_week_went(ledger: Ledger, clock: Clock):
    for day in range(1, 11):
        clock.now = datetime(2026, 11, day, 8, tzinfo=UTC)
        spend(ledger, photo(day), amount="9" if day < 3 else "1")
    report = monthly_report(ledger.cost_breakdown, MONTH, date(2026, 11, 10))
    # 2 x 9 + 7 x 1 before today, 1 today, and 1 a day for the twenty days to come.
    assert report.forecast == Decimal("46.00")


def test_the_first_day_of_a_month_is_all_that_a_forecast_can_know(ledger: Ledger, clock: Clock):
    clock.now = datetime(2026, 11, 1, 8, tzinfo=UTC)
    spend(ledger, photo(1), amount="2")
    assert monthly_report(ledger.cost_breakdown, MONTH, MONTH).forecast == Decimal("60.00")


def test_nothing_spent_is_said(ledger: Ledger):
    report = daily_report(ledger.cost_breakdown, MONTH)
    assert len(report.rows) == 0
    assert as_tables(report) == "Nothing was spent."
    assert as_text(report) == "0.00 USD for 0 published photos."


def test_a_message_names_what_a_person_should_know(ledger: Ledger, clock: Clock):
    spend(ledger, photo(1), discarded=True)
    spend(ledger, photo(2), SpendState.UNKNOWN)
    text = as_text(monthly_report(ledger.cost_breakdown, MONTH, clock.now.date()))
    assert "0.04 USD for 0 published photos" in text
    assert "0.02 USD were paid for what was lost" in text
    assert "0.02 USD are counted for calls that nobody answered" in text
    assert "the month ends at 1.20 USD" in text


def test_a_table_has_a_line_for_the_rest_and_no_sku_breaks_it(ledger: Ledger):
    for number in range(30):
        spend(ledger, photo(number))
    table = as_tables(daily_report(ledger.cost_breakdown, MONTH))
    assert "| SKU\\|0 | 0.02 |" in table
    assert "| 10 more | 0.20 |" in table


def test_a_chart_is_drawn_and_says_what_it_shows():
    days = [(MONTH + timedelta(days=number), Decimal(number)) for number in range(3)]
    svg = bar_chart(days, "USD a <day>")
    assert svg.count("<rect") == 3
    assert "USD a &lt;day&gt;; highest 2.00 USD" in svg
    assert "2026-11-03: 2.00 USD" in svg
    assert bar_chart([(MONTH, Decimal(0))], "nothing").count('height="0.0"') == 1


def test_the_assets_store_their_reports_and_show_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    resource = PhotopipeResource()
    ledger = resource.ledger
    spend(ledger, photo(1))
    today = ledger.database.now().date()
    store = object_store(resource.settings)
    resources = {"photopipe": resource, "pictures": PictureIOManager(lambda: store)}
    with listening() as hook, dagster_instance() as instance:
        monkeypatch.setenv("ALERT_WEBHOOK_URL", hook.url)
        monkeypatch.setenv("COST_REPORT_SEND", "both")
        resources["photopipe"] = PhotopipeResource()
        for asset, partition in (
            (daily_costs, today.isoformat()),
            (daily_costs, today.isoformat()),
            (monthly_costs, today.replace(day=1).isoformat()),
        ):
            done = dg.materialize(
                [asset], partition_key=partition, resources=resources, instance=instance
            )
            assert done.success
            metadata = done.asset_materializations_for_node(asset.op.name)[0].metadata
            assert metadata["total_usd"].value == 0.02
            loaded = dg.Definitions([asset], resources=resources).load_asset_value(
                asset.key, partition_key=partition, instance=instance
            )
            assert loaded["total_usd"].tolist() == [Decimal("0.02")]
            folder = asset.key.path[-1]
            assert store.get(f"reports/{folder}/{partition}.csv") is not None
        # The day's, once; the month's is sent when the month is over.
        (sent,) = hook.bodies
        assert sent["title"] == f"Costs of {today}"
        assert "0.02 USD for 0 published photos." in sent["text"]
    shared_ledger(resource.settings).close()
