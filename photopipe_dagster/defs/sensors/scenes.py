"""Sensor *scenes*: tells Dagster which revisions of scenes people have approved."""

from datetime import datetime

import dagster as dg

from photopipe_dagster.defs.assets.scenes import materialization, scenes
from photopipe_dagster.defs.resources import PhotopipeResource


@dg.sensor(
    name="scenes",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reports approved scenes as materializations of the asset `scene`.",
)
def scenes_sensor(
    context: dg.SensorEvaluationContext, photopipe: PhotopipeResource
) -> dg.SensorResult | dg.SkipReason:
    """Report what was approved since the last tick. One that is told twice is the same one."""
    since = None if context.cursor is None else datetime.fromisoformat(context.cursor)
    approved = photopipe.ledger.scenes.approved_since(since)
    if not approved:
        return dg.SkipReason("No scene was approved.")
    last = approved[-1].decided_at
    return dg.SensorResult(
        asset_events=[materialization(each, photopipe.settings.base_url) for each in approved],
        dynamic_partitions_requests=[
            scenes.build_add_request(list(dict.fromkeys(each.name for each in approved)))
        ],
        cursor=None if last is None else last.isoformat(),
    )
