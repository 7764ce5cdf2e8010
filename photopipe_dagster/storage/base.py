"""The object store's protocol: one small face for a local folder and for S3.

Only an object that is certainly not there is ``None``; every other failure raises `StorageError`,
so that an access error never reads as "missing" and never makes anybody pay again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What is known of an object without reading it.

    Args:
        key: Its key, without a leading slash.
        size: Bytes.
        content_type: MIME type.
        modified: When it was stored; timezone-aware.
        metadata: Lower-case ASCII names to ASCII values (S3 user metadata); together below 2 KiB.
    """

    key: str
    size: int
    content_type: str
    modified: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object with its bytes."""

    info: ObjectInfo
    data: bytes


class ObjectStore(Protocol):
    """Stores pictures and reports under deterministic keys. Thread-safe; calls block.

    Every method raises `StorageError` if the store cannot be reached or refuses.
    """

    def head(self, key: str) -> ObjectInfo | None:
        """Describe an object, or ``None`` if there certainly is none."""
        ...

    def get(self, key: str) -> StoredObject | None:
        """Read an object, or ``None`` if there certainly is none."""
        ...

    def put(
        self, key: str, data: bytes, *, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> ObjectInfo:
        """Store an object atomically: readers see the old one or the new one, never a part."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens if there is none."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects whose key starts with a prefix, in order of their keys' UTF-8 bytes.

        Their ``content_type`` and ``metadata`` may be empty: ask `head` for those.
        """
        ...

    def presign_get(self, key: str, expires_in: int) -> str:
        """A URL that reads one object for ``expires_in`` seconds. A secret: never log it."""
        ...

    def presign_put(self, key: str, expires_in: int, *, content_type: str) -> str:
        """A URL that stores one object for ``expires_in`` seconds. A secret: never log it."""
        ...

    def remove_leftovers(self) -> int:
        """Remove what killed processes left half written for a day; returns how many files."""
        ...

    def check(self) -> None:
        """Raise `StorageError` with what to do if the store cannot be written and read."""
        ...
