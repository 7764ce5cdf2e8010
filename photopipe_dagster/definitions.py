"""All that Dagster loads, enumerated."""

import dagster as dg

from photopipe_dagster.defs.assets.collection import collection
from photopipe_dagster.defs.assets.cost_reports import daily_costs, monthly_costs
from photopipe_dagster.defs.assets.photos import photo_assets
from photopipe_dagster.defs.assets.reconciliation import reconciliation
from photopipe_dagster.defs.assets.scenes import SCENE
from photopipe_dagster.defs.housekeeping import housekeeping_job
from photopipe_dagster.defs.io_manager import PictureIOManager
from photopipe_dagster.defs.jobs import photo_job
from photopipe_dagster.defs.resources import PhotopipeResource, current_variant, open_store
from photopipe_dagster.defs.schedules import (
    daily_costs_job,
    daily_costs_schedule,
    daily_reconciliation,
    hourly_housekeeping,
    monthly_costs_job,
    monthly_costs_schedule,
    reconciliation_job,
)
from photopipe_dagster.defs.sensors.alerts import alerts_sensor
from photopipe_dagster.defs.sensors.dispatch import photo_dispatch
from photopipe_dagster.defs.sensors.events import events_sensor
from photopipe_dagster.defs.sensors.scenes import scenes_sensor
from photopipe_dagster.defs.sensors.sources import source_sensors

defs = dg.Definitions(
    assets=[SCENE, photo_assets, daily_costs, monthly_costs, reconciliation, collection],
    jobs=[photo_job, reconciliation_job, housekeeping_job, daily_costs_job, monthly_costs_job],
    schedules=[
        daily_costs_schedule,
        monthly_costs_schedule,
        daily_reconciliation,
        hourly_housekeeping,
    ],
    sensors=[photo_dispatch, *source_sensors(), alerts_sensor, events_sensor, scenes_sensor],
    resources={
        "photopipe": PhotopipeResource(),
        "pictures": PictureIOManager(open_store, current_variant),
    },
    # Backfills and materializations from the UI run in Dagster's implicit job: without this, each
    # would start a process a step.
    executor=dg.in_process_executor,
)
