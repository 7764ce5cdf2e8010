"""The sensor that polls 3JMS."""

import asyncio
import time
from collections.abc import Iterator

import dagster as dg

from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.sources.threejms.client import ThreeJmsClient
from photopipe_dagster.sources.threejms.polling import poll


@dg.sensor(
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks 3JMS for photos whose webhook was missed.",
)
def threejms_poll(
    context: dg.SensorEvaluationContext, photopipe: PhotopipeResource
) -> Iterator[dg.SkipReason]:
    """Poll 3JMS if it is time; what it names become jobs, which `photo_dispatch` takes up."""
    settings = photopipe.settings
    if not settings.threejms_api_url:
        yield dg.SkipReason("THREEJMS_API_URL is not set: photos come by webhook only.")
        return
    waited = time.time() - float(context.cursor or 0)
    if waited < settings.threejms_poll_seconds:
        yield dg.SkipReason(f"Next poll in {settings.threejms_poll_seconds - waited:.0f} s.")
        return

    async def once() -> str:
        client = ThreeJmsClient.from_settings(settings)
        try:
            return str(await poll(client, photopipe.ledger, settings))
        finally:
            await client.aclose()

    report = asyncio.run(once())
    context.update_cursor(str(time.time()))
    yield dg.SkipReason(report)
