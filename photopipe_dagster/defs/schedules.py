"""Schedules, and the jobs that they launch. All times are UTC."""

from datetime import date, timedelta
from functools import partial
from typing import Final

import dagster as dg

from photopipe_dagster.defs.assets.cost_reports import daily_costs, monthly_costs
from photopipe_dagster.defs.assets.reconciliation import reconciliation
from photopipe_dagster.defs.housekeeping import housekeeping_job

_job = partial(dg.define_asset_job, executor_def=dg.in_process_executor)
_RUNNING: Final = dg.DefaultScheduleStatus.RUNNING
_definition = partial(dg.ScheduleDefinition, execution_timezone="UTC", default_status=_RUNNING)
_schedule = partial(dg.schedule, execution_timezone="UTC", default_status=_RUNNING)

reconciliation_job: Final = _job(
    "reconciliation",
    selection=dg.AssetSelection.assets(reconciliation),
    description="Compares the ledger with the store, with Dagster and with the shop.",
)

daily_reconciliation: Final = _definition(
    name="daily_reconciliation",
    job=reconciliation_job,
    cron_schedule="17 4 * * *",
    description="Once a day, when shops are quiet.",
)

hourly_housekeeping: Final = _definition(
    name="hourly_housekeeping",
    job=housekeeping_job,
    cron_schedule="23 * * * *",
    description="Often and little, so that it never takes long.",
)

daily_costs_job: Final = _job("daily_costs", selection=dg.AssetSelection.assets(daily_costs))
monthly_costs_job: Final = _job("monthly_costs", selection=dg.AssetSelection.assets(monthly_costs))


@_schedule(
    job=daily_costs_job,
    cron_schedule="10 0 * * *",
    description="After midnight: the costs of the day that has ended.",
)
def daily_costs_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """The day before."""
    return dg.RunRequest(partition_key=_yesterday(context).isoformat())


@_schedule(
    job=monthly_costs_job,
    cron_schedule="12 0 * * *",
    description="After midnight: the month's costs so far, and where it will end.",
)
def monthly_costs_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """The month of the day before."""
    return dg.RunRequest(partition_key=_yesterday(context).replace(day=1).isoformat())


def _yesterday(context: dg.ScheduleEvaluationContext) -> date:
    return (context.scheduled_execution_time - timedelta(days=1)).date()
