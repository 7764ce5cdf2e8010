"""Assets *daily_costs* and *monthly_costs*: reports of what was spent, from the ledger."""

import asyncio
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

import dagster as dg

from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.operations.notifications.message import Level, Message
from photopipe_dagster.operations.notifications.notifier import open_notifier

FIRST_DAY: Final = "2026-01-01"
"""The first partition of the reports."""

FOREVER: Final = timedelta(days=36_500)

days: Final = dg.DailyPartitionsDefinition(start_date=FIRST_DAY, timezone="UTC", end_offset=1)
months: Final = dg.MonthlyPartitionsDefinition(start_date=FIRST_DAY, timezone="UTC", end_offset=1)


_report = partial(
    dg.asset,
    key_prefix="reports",
    group_name="reports",
    kinds={"csv", "parquet"},
    owners=["team:photopipe"],
    io_manager_key="pictures",
)


@_report(
    partitions_def=days,
    description="What a UTC day cost, by product, theme, provider and stage.",
)
def daily_costs(context: dg.AssetExecutionContext, photopipe: PhotopipeResource) -> Any:
    """The day's costs as a DataFrame; see `reports.costs.COLUMNS`."""
    from photopipe_dagster.costs.reports.costs import daily_report  # pandas: only when it is made

    day = context.partition_key
    report = daily_report(photopipe.ledger.cost_breakdown, date.fromisoformat(day))
    if photopipe.settings.cost_report_send in ("daily", "both"):
        _send(photopipe, f"costs_{day}", f"Costs of {day}", report)
    context.add_output_metadata(_metadata(report, "USD a day"))
    return report.rows


@_report(
    partitions_def=months,
    description="What a UTC month cost, day by day, and where it will end.",
)
def monthly_costs(context: dg.AssetExecutionContext, photopipe: PhotopipeResource) -> Any:
    """The month's costs as a DataFrame; see `reports.costs.COLUMNS`."""
    from photopipe_dagster.costs.reports.costs import monthly_report

    ledger = photopipe.ledger
    today = ledger.database.now().date()
    month = date.fromisoformat(context.partition_key)
    report = monthly_report(ledger.cost_breakdown, month, today)
    over = (today.year, today.month) > (month.year, month.month)
    if over and photopipe.settings.cost_report_send in ("monthly", "both"):
        _send(photopipe, f"costs_{month:%Y-%m}", f"Costs of {month:%Y-%m}", report)
    context.add_output_metadata(_metadata(report, f"USD a day in {context.partition_key[:7]}"))
    return report.rows


def _send(photopipe: PhotopipeResource, topic: str, title: str, report: Any) -> None:
    """Tell people the report, once: a report that is made again is not sent again."""
    from photopipe_dagster.costs.reports.summary import as_text

    message = Message(topic, title, as_text(report), Level.INFO)
    notifier = open_notifier(photopipe.settings, photopipe.ledger)
    asyncio.run(notifier.notify(message, repeat=FOREVER))


def _metadata(report: Any, title: str) -> dict[str, Any]:
    """What the Dagster UI shows and plots."""
    from photopipe_dagster.costs.reports.summary import as_chart, as_tables

    metadata: dict[str, Any] = {
        "total_usd": _float(report.total),
        "discarded_usd": _float(report.amount("discarded_usd")),
        "unknown_usd": _float(report.amount("unknown_usd")),
        "published_photos": report.published,
        "rows": len(report.rows),
        "costs": dg.MetadataValue.md(as_tables(report)),
    }
    if report.cost_a_photo is not None:
        metadata["usd_a_photo"] = _float(report.cost_a_photo)
    if report.forecast is not None:
        metadata["forecast_usd"] = _float(report.forecast)
    if len(report.days) > 1:
        metadata["days"] = dg.MetadataValue.md(as_chart(report, title))
    return metadata


def _float(amount: Decimal) -> dg.FloatMetadataValue:
    return dg.MetadataValue.float(float(amount))
