"""Finished pictures as one ZIP."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from typing import Final

from photopipe_dagster.core.stages import Stage
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.storage.base import ObjectStore

_UNFIT: Final = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
"""What some system does not take in a file's name."""


def zipped(store: ObjectStore, jobs: Iterable[Job]) -> Iterator[bytes]:
    """A ZIP of the pictures of jobs, ``{sku}/{theme}-{job}.jpg``, as it is made.

    Args:
        jobs: Those without a finished picture are left out.

    Raises:
        StorageError: A picture could not be read: the ZIP is not complete.
    """
    made = _Chunks()
    # The pictures are JPEGs: packing them would save nothing.
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as packed:
        for job in jobs:
            key = job.object_keys[Stage.COMPOSITE]
            found = None if key is None else store.get(key)
            if found is not None:
                packed.writestr(f"{_plain(job.key.sku)}/{job.key.theme}-{job.id}.jpg", found.data)
                yield made.take()
    yield made.take()


class _Chunks:
    """A file that is read while it is written, and cannot be sought in."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, chunk: bytes, /) -> int:
        self._chunks.append(bytes(chunk))
        return len(chunk)

    def flush(self) -> None:
        """All is there at once."""

    def close(self) -> None:
        """What was written can still be taken."""

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = b"".join(self._chunks)
        self._chunks.clear()
        return taken


def _plain(sku: str) -> str:
    """A SKU as a folder's name that every system takes."""
    return _UNFIT.sub("_", sku).strip(". ") or "_"
