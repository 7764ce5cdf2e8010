"""A photo's place among those that a run works on at once.

A photo that waits for a provider gives its slot to another, and queues for one again afterwards
like those that have not begun: the sooner those wait for a background of their own, the sooner all
are done. (Serving the returning photos first took a sixth longer for 200 photos.)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self


class Slot:
    """One photo's slot. `asyncio.Semaphore` serves its waiters in order.

    Args:
        slots: All slots of the run.
    """

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._held = False

    async def __aenter__(self) -> Self:
        await self._acquire()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release()

    @asynccontextmanager
    async def released(self) -> AsyncIterator[None]:
        """Around a wait that needs no slot; one is held again after it.

        A photo that is cancelled meanwhile queues for none: nothing more is done with it.
        """
        self.release()
        try:
            yield
        except Exception:
            await self._acquire()
            raise
        await self._acquire()

    async def _acquire(self) -> None:
        await self._slots.acquire()
        self._held = True

    def release(self) -> None:
        """Give it back before the block ends, if it is held."""
        if self._held:
            self._held = False
            self._slots.release()
