"""What lies in a bucket under a prefix.

S3 cannot be asked for what is new: all keys are listed, and those are looked at that were stored
since the last listing. Nothing is moved, so the rights to list and to read are enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import quote, unquote

from photopipe_dagster.core.errors import ConfigurationError, PhotoRejectedError, StorageError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.sources.base import Entry, Malformed, NamedPhoto, PhotoSource
from photopipe_dagster.sources.bucket.plugin import SCHEME
from photopipe_dagster.sources.bucket.settings import BucketSourceSettings
from photopipe_dagster.sources.names import PICTURES
from photopipe_dagster.storage.base import ObjectInfo
from photopipe_dagster.storage.factory import bucket_store
from photopipe_dagster.storage.key_rules import check_key
from photopipe_dagster.storage.s3 import S3Store

_KEYS_A_PAGE: Final = 50


class BucketSource(PhotoSource):
    """One bucket.

    Raises:
        ConfigurationError: None is set.
    """

    def __init__(self, settings: Settings) -> None:
        place = settings.of(BucketSourceSettings).bucket_source
        if not place:
            raise ConfigurationError("BUCKET_SOURCE must be set to the bucket with the photos.")
        self._bucket, _, self._prefix = place.removeprefix("s3://").partition("/")
        self._settings = settings
        self._stores: dict[str, S3Store] = {}

    async def list_since(self, moment: datetime | None) -> AsyncIterator[Sequence[Entry]]:
        """All photos under the prefix that were stored at or after a moment.

        Raises:
            StorageError: The bucket could not be listed to its end.
        """
        entries = self._entries(moment)
        while page := await asyncio.to_thread(lambda: list(islice(entries, _KEYS_A_PAGE))):
            yield page

    async def fetch(self, ref: str) -> bytes:
        """An object's bytes.

        Raises:
            PhotoRejectedError: It is gone, or too large.
            StorageError: The bucket did not answer now.
        """
        bucket, _, key = ref.partition(":")[2].partition("/")
        return await asyncio.to_thread(self._read, bucket, unquote(key))

    async def aclose(self) -> None:
        """Connections close with their clients."""

    # --- blocking ----------------------------------------------------------------------------

    def _store(self, bucket: str) -> S3Store:
        if bucket not in self._stores:
            self._stores[bucket] = bucket_store(self._settings, bucket, setting="BUCKET_SOURCE")
        return self._stores[bucket]

    def _entries(self, moment: datetime | None) -> Iterator[Entry]:
        for found in self._store(self._bucket).list(self._prefix):
            name = PurePosixPath(found.key)
            if name.suffix.lower() not in PICTURES or name.name.startswith("."):
                continue
            if moment is None or found.modified >= moment:
                yield self._entry(found)

    def _entry(self, found: ObjectInfo) -> Entry:
        try:
            check_key(found.key)
        except StorageError as error:
            return Malformed(error.message, {"key": found.key}, found.modified)
        return NamedPhoto(
            found.key.removeprefix(self._prefix).lstrip("/"),
            f"{SCHEME}:{self._bucket}/{quote(found.key)}",
            f"{found.size}-{found.modified.isoformat()}",
            updated_at=found.modified,
        )

    def _read(self, bucket: str, key: str) -> bytes:
        store, most = self._store(bucket), self._settings.image_max_bytes
        seen = store.head(key)
        if seen is not None and seen.size > most:
            raise PhotoRejectedError(
                f"The photo has more than {most} bytes. Store a smaller one, or raise "
                "IMAGE_MAX_BYTES."
            )
        found = None if seen is None else store.get(key)
        if found is None:
            raise PhotoRejectedError("The photo is not in the bucket any more: store it again.")
        return found.data
