"""The hands of a run: how many photos are worked on at once.

Whoever waits for a provider to paint needs none: others get on meanwhile. Whoever comes back waits
for its turn like those who have not begun: the sooner those wait for a background of their own, the
sooner all are done. (First those who come back took a sixth longer for 200 photos.)
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self


class Hands:
    """So many hands; for one event loop.

    Args:
        number: How many there are.
    """

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def free(self) -> int:
        """Those that nobody has."""
        return self._free

    async def take(self) -> None:
        """Take one, waiting until there is one: first come, first served."""
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove(turn)
            else:
                self.give()  # it came in the same moment
            raise

    def give(self) -> None:
        """Give one back, to whoever waits for it."""
        for turn in self._waiting:
            if not turn.done():
                self._waiting.remove(turn)
                turn.set_result(None)
                return
        self._free += 1


class Hand:
    """The hand that a photo is in, if it is.

    Args:
        hands: All hands of the run.
    """

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._taken = False

    async def __aenter__(self) -> Self:
        await self._take()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._give()

    @asynccontextmanager
    async def rests(self) -> AsyncIterator[None]:
        """Around a wait during which nothing is done; the photo is in a hand again after it.

        One that is cancelled is not: nothing more is done with it.
        """
        self._give()
        try:
            yield
        except Exception:
            await self._take()
            raise
        await self._take()

    async def _take(self) -> None:
        await self._hands.take()
        self._taken = True

    def _give(self) -> None:
        if self._taken:
            self._taken = False
            self._hands.give()
