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
    description="Tells people what needs them: failed photos, reviews, costs, services that are "
    "down, a spent budget, dead sensors, a long queue; and when that is over.",
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
    pages = settings.base_url
    standing = list(alerts.standing(ledger, settings, instance, watched()))
    told = await notifier.tell_over(alerts.lasting(standing), f"{pages}/")
    told += [message.title for message in standing if await notifier.notify(message)]
    reviews = alerts.reviews(ledger, pages)
    if reviews is not None and await notifier.notify(reviews):
        told.append(reviews.title)
    every = timedelta(minutes=settings.alert_digest_minutes)
    digest = alerts.failures(ledger, every, pages)
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
    summary = alerts.summary(ledger, pages) if settings.alert_summary == "daily" else None
    if summary is not None:
        await notifier.notify(summary, repeat=AT_ONCE)
        alerts.summarized(ledger)
        told.append(summary.title)
    return told


def watched() -> tuple[str, ...]:
    """Sensors that must tick."""
    polled = (plugin.polling.sensor for plugin in SOURCES if plugin.polling is not None)
    return ("photo_dispatch", *polled)
