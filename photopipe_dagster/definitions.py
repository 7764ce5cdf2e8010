"""All that Dagster loads, enumerated."""

import dagster as dg

from photopipe_dagster.assets.photos import photo_assets
from photopipe_dagster.jobs import photo_job
from photopipe_dagster.resources import PhotopipeResource, open_store
from photopipe_dagster.sensors import photo_dispatch, threejms_poll
from photopipe_dagster.storage.io_manager import PictureIOManager

defs = dg.Definitions(
    assets=[photo_assets],
    jobs=[photo_job],
    sensors=[photo_dispatch, threejms_poll],
    resources={
        "photopipe": PhotopipeResource(),
        "pictures": PictureIOManager(open_store),
    },
    # Backfills and materializations from the UI run in Dagster's implicit job: without this, each
    # would start a process a step.
    executor=dg.in_process_executor,
)
