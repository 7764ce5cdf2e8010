"""Pictures that the photos of a run keep in memory from one stage to the next, within a budget.

While a provider makes its background, a photo could keep its decoded cut-out, which is megabytes.
Of a few photos that saves reading it again; of a hundred it would fill the memory. All of it is in
the store, so what finds no room is not kept. That is what comes last: photos return from a provider
in the order in which they went, so what was kept first is needed first. (The least recently used
one, which a cache usually drops, would be the one that is needed next.)
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from cachetools import Cache


class Sized(Protocol):
    """A picture that can be kept."""

    @property
    def size_in_memory(self) -> int:
        """Bytes."""
        ...


class PictureCache:
    """Pictures by name, each kept for one photo. For one event loop.

    Args:
        most: Bytes, all together.
    """

    def __init__(self, most: int) -> None:
        self._kept: Cache[tuple[Hashable, str], bytes | Sized] = Cache(most, getsizeof=_size)

    @property
    def used(self) -> int:
        """Bytes that are kept now."""
        return int(self._kept.currsize)

    def keep(self, owner: Hashable, name: str, picture: bytes | Sized) -> None:
        """Keep a picture of a photo, if there is room for it."""
        if self.used + _size(picture) <= self._kept.maxsize:
            self._kept[owner, name] = picture

    def take(self, owner: Hashable, name: str) -> bytes | Sized | None:
        """A picture of a photo, which is not kept any longer; ``None`` if it was not."""
        return self._kept.pop((owner, name), None)

    def discard(self, owner: Hashable) -> None:
        """Keep nothing of a photo any more."""
        for key in [key for key in self._kept if key[0] == owner]:
            del self._kept[key]


def _size(picture: bytes | Sized) -> int:
    return len(picture) if isinstance(picture, bytes) else picture.size_in_memory
