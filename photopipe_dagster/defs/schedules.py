"""Schedules, and the jobs that they launch. All times are UTC."""

from datetime import date, timedelta
from typing import Final

import dagster as dg

from photopipe_dagster.defs.assets.cost_reports import daily_costs, monthly_costs
from photopipe_dagster.defs.assets.reconciliation import reconciliation
from photopipe_dagster.defs.housekeeping import housekeeping_job

reconciliation_job: Final = dg.define_asset_job(
    "reconciliation",
    selection=dg.AssetSelection.assets(reconciliation),
    description="Compares the ledger with the store, with Dagster and with the shop.",
    executor_def=dg.in_process_executor,
)

daily_reconciliation: Final = dg.ScheduleDefinition(
    name="daily_reconciliation",
    job=reconciliation_job,
    cron_schedule="17 4 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Once a day, when shops are quiet.",
)

hourly_housekeeping: Final = dg.ScheduleDefinition(
    name="hourly_housekeeping",
    job=housekeeping_job,
    cron_schedule="23 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Often and little, so that it never takes long.",
)

daily_costs_job: Final = dg.define_asset_job(
    "daily_costs",
    selection=dg.AssetSelection.assets(daily_costs),
    executor_def=dg.in_process_executor,
)

monthly_costs_job: Final = dg.define_asset_job(
    "monthly_costs",
    selection=dg.AssetSelection.assets(monthly_costs),
    executor_def=dg.in_process_executor,
)


@dg.schedule(
    job=daily_costs_job,
    cron_schedule="10 0 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="After midnight: the costs of the day that has ended.",
)
def daily_costs_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """The day before."""
    return dg.RunRequest(partition_key=_yesterday(context).isoformat())


@dg.schedule(
    job=monthly_costs_job,
    cron_schedule="12 0 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="After midnight: the month's costs so far, and where it will end.",
)
def monthly_costs_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """The month of the day before."""
    return dg.RunRequest(partition_key=_yesterday(context).replace(day=1).isoformat())


def _yesterday(context: dg.ScheduleEvaluationContext) -> date:
    return (context.scheduled_execution_time - timedelta(days=1)).date()
