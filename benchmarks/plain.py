"""The stages as Dagster has them by default: an asset each, a run a photo, a process a step."""

import secrets
from collections.abc import Sequence
from typing import Final

import dagster as dg

from photopipe_dagster.core.photo import STAGES, PhotoKey, Stage
from photopipe_dagster.defs.assets.photos import STAGE_FUNCTIONS, photos
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.pipeline.runner import PhotoFailed, Pipeline


def _asset(stage: Stage, before: Sequence[Stage]) -> dg.AssetsDefinition:
    @dg.asset(name=stage.value, deps=[each.value for each in before], partitions_def=photos)
    def of_one_photo(context: dg.AssetExecutionContext, photopipe: PhotopipeResource) -> None:
        run_id = context.run.run_id
        pipeline = Pipeline(
            photopipe.open_services, STAGE_FUNCTIONS, owner=secrets.token_hex(4), run_id=run_id
        )
        for event in pipeline.run([PhotoKey.parse(context.partition_key)], [stage]):
            if isinstance(event, PhotoFailed):
                raise event.error

    return of_one_photo


defs: Final = dg.Definitions(
    assets=[_asset(stage, STAGES[max(0, place - 1) : place]) for place, stage in enumerate(STAGES)],
    resources={"photopipe": PhotopipeResource()},
)
