"""Sensor *events*: tells other programs what became of jobs."""

import asyncio
from collections.abc import Iterator

import dagster as dg

from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.operations.webhooks.sender import WebhookSender


@dg.sensor(
    name="events",
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends what became of jobs to EVENT_WEBHOOK_URLS, again until it is taken.",
)
def events_sensor(photopipe: PhotopipeResource) -> Iterator[dg.SkipReason]:
    """Send what is due."""
    taken, refused = asyncio.run(_send_due(photopipe))
    yield dg.SkipReason(
        f"{taken} delivered, {refused} to be tried again."
        if taken or refused
        else "Nothing is to be sent."
    )


async def _send_due(photopipe: PhotopipeResource) -> tuple[int, int]:
    async with WebhookSender(photopipe.settings, photopipe.ledger) as sender:
        return await sender.send_due()
