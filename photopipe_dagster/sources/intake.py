"""From an announcement, whatever its source and way, to the job of a photo."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.core.logs import about
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.recipe import digest
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.decode import inspect
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.intake import Arrival
from photopipe_dagster.ledger.product_sizes import ProductSize
from photopipe_dagster.net.safe_download import DownloadPolicy
from photopipe_dagster.sources.base import Announcement, SourcePlugin
from photopipe_dagster.sources.batch_writer import BatchWriter
from photopipe_dagster.storage.base import ObjectStore

_FULL_DIGEST: Final = 64

_THEMES_SECONDS: Final = 1.0
"""How long themes are offered as they were read last: announcements come by the thousand."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """An announced photo has its job; whether that is new."""

    key: PhotoKey
    created: bool


class Intake:
    """The one way of announced photos to their jobs.

    Args:
        store: Takes photos whose digest their source does not know.
        fetch: Gets those photos; raises `JobError`.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        store: ObjectStore,
        fetch: Callable[[str], Awaitable[bytes]],
    ) -> None:
        self._settings = settings
        self._writer = BatchWriter(ledger.intake)
        self._sizes = ledger.product_sizes
        self._store = store
        self._fetch = fetch
        self._themes = partial(ledger.themes.registry, settings)
        self._policy = DownloadPolicy.from_settings(settings)
        # A page of a listing comes at once, and photos are large.
        self._fetching = asyncio.Semaphore(settings.pictures_in_memory)

    async def accept(
        self, announcement: Announcement, plugin: SourcePlugin, *, arrives_by: str
    ) -> Accepted:
        """Make the job of an announced photo, or find the one it has. It is there for good.

        A photo whose digest its source does not know is fetched, and stored as the original.

        Args:
            plugin: Its source: a reference of another one's is not followed.

        Raises:
            PhotoRejectedError: The announcement cannot become a job; names the field and why.
            NetworkError, RateLimitError, StorageError: The photo could not be fetched or stored
                now.
        """
        theme = await self._theme(announcement.theme)
        if announcement.sha256 is None:
            self._check_ref(announcement.ref, plugin)
            key = await self._stored(announcement, theme)
        else:
            key = self._announced(announcement.sku, announcement.sha256, theme)
            self._check_ref(announcement.ref, plugin)
        if announcement.height_cm is not None:
            size = ProductSize(key.sku, announcement.height_cm, source=arrives_by)
            await asyncio.to_thread(self._sizes.put, [size])
        created = await self._writer.submit(
            Arrival(key, arrives_by, announcement.ref, announcement.taken_at)
        )
        if created:
            with about(key):
                _log.info("A new photo came in by %s", arrives_by)
        return Accepted(key, created)

    async def _theme(self, name: str | None) -> str:
        """The theme that it is to have, even one that was made this very second."""
        themes = await asyncio.to_thread(self._themes, max_age=_THEMES_SECONDS)
        try:
            return themes.offer(name).name
        except PhotoRejectedError:
            return (await asyncio.to_thread(self._themes)).offer(name).name

    def _announced(self, sku: str, sha256: str, theme: str) -> PhotoKey:
        if self._settings.production and len(sha256) != _FULL_DIGEST:
            raise PhotoRejectedError(
                f"sha256: has {len(sha256)} hexadecimal digits; production needs all "
                f"{_FULL_DIGEST}."
            )
        return PhotoKey(sku, sha256, theme)

    def _check_ref(self, ref: str, plugin: SourcePlugin) -> None:
        if scheme_of(ref) not in plugin.schemes:
            self._policy.check(ref)

    async def _stored(self, announcement: Announcement, theme: str) -> PhotoKey:
        # Before anything is fetched for it: the digest alone is missing.
        PhotoKey(announcement.sku, "0" * _FULL_DIGEST, theme)
        async with self._fetching:
            photo = await self._fetch(announcement.ref)
            return await asyncio.to_thread(self._store_photo, announcement.sku, photo, theme)

    def _store_photo(self, sku: str, photo: bytes, theme: str) -> PhotoKey:
        info = inspect(
            photo,
            max_pixels=self._settings.image_max_pixels,
            min_side=self._settings.image_min_side,
        )
        key = PhotoKey(sku, digest(photo), theme)
        store_original(self._store, key, photo, info.content_type)
        return key


def store_original(store: ObjectStore, key: PhotoKey, photo: bytes, content_type: str) -> None:
    """Put a photo where stage *original* finds it, unless it is there."""
    object_key = key.object_key(Stage.ORIGINAL)
    if store.head(object_key) is None:
        store.put(object_key, photo, content_type=content_type)


def scheme_of(ref: str) -> str:
    """The scheme of a photo's reference, in lower case; empty where it has none."""
    scheme, colon, _ = ref.partition(":")
    return scheme.lower() if colon else ""
