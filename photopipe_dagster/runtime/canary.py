"""One photo first: while nothing shows that the shop takes pictures, one photo alone is paid for.

A shop can refuse in many ways (a revoked token, a missing scope, an unpaid bill), and some show
only when the picture is put on the product. So the first photo of a shop goes alone to its end, and
so does one after a failure, or after a quarter of an hour without a success; others wait before
they are paid for. When it is published, all go on at once. When it fails, the next one goes alone,
until enough failures, or one refusal, open the shop's breaker: then all wait for the shop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Final

from photopipe_dagster.runtime.circuit_breaker import CircuitBreaker
from photopipe_dagster.runtime.leases import LeaseHolder

REMEMBERED_SECONDS: Final = 1.0
"""How long the ledger is not asked again whether the shop takes pictures."""


class Canary:
    """Lets the photos of one run through to what is paid for.

    Args:
        breaker: Of the shop.
        probe: Asks the shop whether it lets us do all that publishing needs.
        lease: Name of the lease that the one photo holds among all processes.
    """

    def __init__(
        self, breaker: CircuitBreaker, probe: Callable[[], Awaitable[object]], lease: str
    ) -> None:
        self._breaker = breaker
        self._probe = probe
        self._lease = lease
        self._turn = asyncio.Lock()
        self._person_decides = False
        self._fine_until = 0.0

    async def clear(
        self,
        until_its_end: AsyncExitStack,
        leases: LeaseHolder,
        released: Callable[[], AbstractAsyncContextManager[None]],
    ) -> bool:
        """Return when a photo may be paid for.

        Args:
            until_its_end: Closed when nothing more is done with the photo: then the next one goes.
            leases: The run's.
            released: Put around the wait for another photo.

        Returns:
            Whether it goes alone; the same photo is not to ask again.

        Raises:
            ServiceDownError: The shop is down.
            JobError: The shop refuses, or does not answer.
        """
        if await self._all_may_go():
            return False
        async with AsyncExitStack() as alone:
            async with released():
                await alone.enter_async_context(self._turn)
                if await self._all_may_go():
                    return False
                await alone.enter_async_context(leases.hold(self._lease))
                if await self._all_may_go():
                    return False
            async with self._breaker.asking():
                await self._probe()
            await until_its_end.enter_async_context(alone.pop_all())
        return True

    async def still_up(self) -> None:
        """See that the shop has not been found to be down meanwhile.

        Raises:
            ServiceDownError: It has.
        """
        await self._all_may_go()

    def person_decides(self) -> None:
        """A photo got as far as a person's look: the next ones need not go one by one."""
        self._person_decides = True

    async def _all_may_go(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now < self._fine_until:
            return True
        fine = await asyncio.to_thread(self._breaker.has_worked_lately)
        if fine:
            self._fine_until = now + REMEMBERED_SECONDS
        return fine or self._person_decides
