"""Fetches photos, each from where its reference leads."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Self

import httpx

from photopipe_dagster.core.errors import JobError, PhotoRejectedError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.net.safe_download import Downloader, DownloadPolicy
from photopipe_dagster.sources.base import PhotoSource, SourceContext, SourcePlugin
from photopipe_dagster.sources.intake import scheme_of
from photopipe_dagster.sources.registry import SOURCES


class PhotoFetcher:
    """Downloads photos, or asks the source that has them. Sources are opened when needed.

    Close it with `aclose`, or use it in ``async with``.

    Args:
        transport: Replaces the network in tests.
    """

    def __init__(
        self, settings: Settings, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._context = SourceContext(settings, transport)
        self._downloader = Downloader(DownloadPolicy.from_settings(settings), transport=transport)
        self._sources: dict[str, PhotoSource] = {}
        self._open = AsyncExitStack()
        self._open.push_async_callback(self._downloader.aclose)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def fetch(self, ref: str) -> bytes:
        """The bytes of a photo.

        Raises:
            PhotoRejectedError: They are not there, too large, or nobody has them.
            NetworkError, RateLimitError: Where they are did not answer now.
            ConfigurationError: Their source cannot be opened.
        """
        scheme = scheme_of(ref)
        if scheme in ("", "http", "https"):
            return await self._downloader.fetch(ref)
        # Of all that are installed: one that is switched off still has what it had announced.
        for plugin in SOURCES:
            if scheme in plugin.schemes:
                try:
                    return self._small_enough(await self.source(plugin).fetch(ref))
                except JobError as error:
                    error.details.setdefault("source", plugin.name)
                    raise
        raise PhotoRejectedError(
            f"No source fetches photos of {scheme[:40]}: references. Install the package of the "
            "source that announced it, or announce the photo again with an https URL."
        )

    def source(self, plugin: SourcePlugin) -> PhotoSource:
        """A source, opened once; it is closed with all others."""
        if plugin.name not in self._sources:
            source = self._sources[plugin.name] = plugin.open(self._context)
            self._open.push_async_callback(source.aclose)
        return self._sources[plugin.name]

    async def aclose(self) -> None:
        """Close connections."""
        await self._open.aclose()

    def _small_enough(self, photo: bytes) -> bytes:
        most = self._context.settings.image_max_bytes
        if len(photo) > most:
            raise PhotoRejectedError(
                f"The photo has more than {most} bytes. Announce a smaller one, or raise "
                "IMAGE_MAX_BYTES."
            )
        return photo


async def fetch_photo(settings: Settings, ref: str) -> bytes:
    """The bytes of one photo, over connections of its own; raises what `PhotoFetcher` raises."""
    async with PhotoFetcher(settings) as fetcher:
        return await fetcher.fetch(ref)
