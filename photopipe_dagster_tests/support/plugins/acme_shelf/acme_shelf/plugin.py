"""An Acme shelf among the sources of photos."""

from __future__ import annotations

from typing import ClassVar

from acme_shelf.settings import ShelfSettings
from acme_shelf.source import SCHEME, ShelfSource
from photopipe_dagster.core.errors import ConfigurationError, ErrorCode
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.sources.base import Polling, Schedule, SourceContext, SourcePlugin


class Plugin(SourcePlugin):
    """An Acme shelf. It is polled; it has no webhook."""

    name = "acme-shelf"
    title = "Acme Shelf"
    settings = ShelfSettings
    schemes = frozenset({SCHEME})
    polling = Polling(sensor="acme_shelf_poll", watermark="acme_shelf", arrives_by="acme-shelf")
    advice: ClassVar = {
        ErrorCode.NETWORK_ERROR: "See whether the shelf at ACME_SHELF_URL is switched on."
    }

    def check(self, settings: Settings) -> None:
        """A shelf needs a key."""
        own = settings.of(ShelfSettings)
        if own.acme_shelf_url and not own.acme_shelf_key:
            raise ConfigurationError("ACME_SHELF_KEY must be set for ACME_SHELF_URL.")

    def open(self, context: SourceContext) -> ShelfSource:
        """Connect to ACME_SHELF_URL."""
        return ShelfSource(context)

    def schedule(self, settings: Settings) -> Schedule:
        """Every ACME_SHELF_SECONDS. A photo is listed until it is taken: nothing is missed."""
        own = settings.of(ShelfSettings)
        off = None if own.acme_shelf_url else "ACME_SHELF_URL is not set."
        return Schedule(own.acme_shelf_seconds, overlap_seconds=0, off=off)
