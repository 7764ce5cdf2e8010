"""The sensors that poll sources, one each."""

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from typing import Final

import dagster as dg

from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.publishing.sku_list import SkuRefresh
from photopipe_dagster.runtime.photo_fetcher import PhotoFetcher
from photopipe_dagster.sources.base import Polling, SourcePlugin
from photopipe_dagster.sources.intake import Intake
from photopipe_dagster.sources.polling import Poller, PollReport
from photopipe_dagster.sources.registry import SOURCES, sources_in_use

SECONDS_A_TICK: Final = 30.0
"""For files that are fetched while they are listed; Dagster ends a tick after 60."""

_REFRESH: Final = SkuRefresh(seconds=15.0)


def source_sensors() -> list[dg.SensorDefinition]:
    """A sensor for each source that can be polled, whether it is switched on or not."""
    return [
        source_sensor(plugin, plugin.polling) for plugin in SOURCES if plugin.polling is not None
    ]


def source_sensor(plugin: SourcePlugin, polling: Polling) -> dg.SensorDefinition:
    """The sensor that polls a source; its cursor is when it did so last, in seconds since 1970."""

    @dg.sensor(
        name=polling.sensor,
        # Every 10 s, as Dagster looks every 5 s: most ticks only find that it is not time.
        minimum_interval_seconds=9,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Asks {plugin.title} for photos"
        f"{'.' if plugin.webhook is None else ' whose webhook was missed.'}",
    )
    def poll(
        context: dg.SensorEvaluationContext, photopipe: PhotopipeResource
    ) -> Iterator[dg.SkipReason]:
        """Poll if it is time; what is named become jobs, which `photo_dispatch` picks up."""
        settings = photopipe.settings
        if plugin not in sources_in_use(settings):
            yield dg.SkipReason(f"SOURCES does not name {plugin.name}.")
            return
        schedule = plugin.schedule(settings)
        if schedule.off is not None:
            yield dg.SkipReason(schedule.off)
            return
        waited = time.time() - float(context.cursor or 0)
        if waited < schedule.every_seconds:
            yield dg.SkipReason(f"Next poll in {schedule.every_seconds - waited:.0f} s.")
            return
        report = asyncio.run(_poll(plugin, polling, photopipe))
        # Where there are more, the next poll goes on at once.
        context.update_cursor(str(time.time()) if report.complete else "0")
        yield dg.SkipReason(str(report))

    return poll


async def _poll(plugin: SourcePlugin, polling: Polling, photopipe: PhotopipeResource) -> PollReport:
    settings, ledger = photopipe.settings, photopipe.ledger
    async with PhotoFetcher(settings) as photos:
        poller = Poller(
            plugin,
            polling,
            photos.source(plugin),
            Intake(settings, ledger, photopipe.store, photos.fetch),
            ledger,
            settings,
            refresh=partial(_REFRESH, settings, ledger),
            seconds=SECONDS_A_TICK,
        )
        return await poller.poll()
