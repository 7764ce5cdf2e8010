"""Room for the pictures that photos keep in memory from one stage to the next.

While a provider paints its background, a photo could keep its decoded cut-out, which is megabytes.
Of a few photos that saves reading it again; of a hundred that wait it would fill the memory. All of
it is in the store, so whoever finds no room lets go of what it has and reads it again. That is
whoever comes last: photos come back from a provider in the order in which they went, so those that
were first need theirs next.
"""

from __future__ import annotations

from typing import Protocol


class Holder(Protocol):
    """Who keeps pictures, such as a photo on its way."""

    @property
    def held(self) -> int:
        """Bytes that it keeps."""
        ...

    def let_go(self) -> None:
        """Keep nothing."""
        ...


class PictureRoom:
    """Room for so many bytes, shared by the photos of one run; for one thread.

    Args:
        most: Bytes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._used: dict[int, int] = {}

    @property
    def used(self) -> int:
        """Bytes that are kept now."""
        return sum(self._used.values())

    def settle(self, holder: Holder) -> None:
        """Note what one keeps, as often as that changes; it lets go of it if there is no room."""
        self._used.pop(id(holder), None)
        if self.used + holder.held > self._most:
            holder.let_go()
        if holder.held:
            self._used[id(holder)] = holder.held

    def leave(self, holder: Holder) -> None:
        """One keeps nothing any more."""
        self._used.pop(id(holder), None)
