"""Dagster jobs: what sensors and schedules launch."""

from typing import Final

import dagster as dg

from photopipe_dagster.defs.assets.photos import photo_assets

photo_job: Final = dg.define_asset_job(
    "photos",
    selection=dg.AssetSelection.assets(photo_assets),
    description="Takes a batch of photos from the original to the media in the shop.",
    # One process a run: photos wait for providers side by side in it, not in 50 processes.
    executor_def=dg.in_process_executor,
)
