"""Sensor *alerts*: tells people what needs them, each thing once."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import dagster as dg

from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.operations.notifications import alerts
from photopipe_dagster.operations.notifications.notifier import open_notifier
from photopipe_dagster.sources.registry import SOURCES

AT_ONCE: Final = timedelta(0)


@dg.sensor(
    name="alerts",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells people what needs them: failed photos, costs, dead sensors, a long queue.",
)
def alerts_sensor(
    context: dg.SensorEvaluationContext, photopipe: PhotopipeResource
) -> Iterator[dg.SkipReason]:
    """Look, and tell what is due. What no channel took is due again at the next tick."""
    told = asyncio.run(_tell_all(context.instance, photopipe))
    yield dg.SkipReason(f"Sent: {', '.join(told)}." if told else "No alerts.")


async def _tell_all(instance: dg.DagsterInstance, photopipe: PhotopipeResource) -> list[str]:
    ledger, settings = photopipe.ledger, photopipe.settings
    notifier = open_notifier(settings, ledger)
    told = [
        message.title
        for message in alerts.standing(ledger, settings, instance, watched())
        if await notifier.notify(message)
    ]
    digest = alerts.failures(ledger, timedelta(minutes=settings.alert_digest_minutes))
    if digest is not None:
        await notifier.notify(digest.message, repeat=AT_ONCE)
        alerts.digested(ledger, digest)
        told.append(digest.message.title)
    cost = alerts.costs(ledger, settings)
    now = ledger.database.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    # Each level once a UTC day.
    if cost is not None and await notifier.notify(cost, repeat=now - midnight):
        told.append(cost.title)
    return told


def watched() -> tuple[str, ...]:
    """Sensors that must tick."""
    polled = (plugin.polling.sensor for plugin in SOURCES if plugin.polling is not None)
    return ("photo_dispatch", *polled)
