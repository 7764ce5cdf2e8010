"""Shopify's cost points, shared by all photos of a process.

Each app and store has a leaky bucket of points; every answer tells its state
(https://shopify.dev/docs/api/usage/limits). An operation that would not fit is held back here,
first come, first served, instead of being refused there.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from photopipe_dagster.net.rate_limit import Bucket
from photopipe_dagster.shopify.models import Cost


class CostBucket:
    """Our view of the bucket, after the last answer.

    Args:
        sleep: Waits for seconds.
        clock: Monotonic seconds.
    """

    def __init__(
        self, *, sleep: Callable[[float], Awaitable[None]], clock: Callable[[], float]
    ) -> None:
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self._costs: dict[str, float] = {}
        self._in_flight = 0.0
        self._points = Bucket(math.inf, 1.0, clock=clock)  # until an answer says how many

    @asynccontextmanager
    async def admit(self, name: str) -> AsyncIterator[float]:
        """Wait until an operation fits, and keep its points while it is under way.

        What an operation costs is known from its last answer; an unknown one goes at once.

        Yields:
            Seconds waited.
        """
        async with self._turn:
            cost = self._costs.get(name, 0.0)
            # What is dearer than a full bucket never fits: let Shopify say so.
            waited = self._points.wait(cost)
            if waited > 0:
                await self._sleep(waited)
            self._points.take(cost)
            self._in_flight += cost
        try:
            yield waited
        finally:
            self._in_flight -= cost

    def learn(self, name: str, cost: Cost) -> bool:
        """Take over what an answer says of costs; call it within `admit`.

        Returns:
            Whether the operation would fit now, as far as is known.
        """
        own = self._costs.get(name, 0.0)
        if cost.requested_query_cost is not None:
            self._costs[name] = cost.requested_query_cost
        status = cost.throttle_status
        if status is not None:
            # The others under way may not be in the figure yet: reckon that none is.
            others = max(0.0, self._in_flight - own)
            self._points.set(
                status.currently_available - others,
                status.maximum_available,
                max(status.restore_rate, 0.001),
            )
        return self._points.wait(self._costs.get(name, 0.0)) <= 0
