"""A client-side speed limit, for services that answer 429 to whoever calls too often."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Final, Self

BURST_SHARE: Final = 8
"""A burst is an eighth of a minute's requests, so that 40 a minute are never above 45."""


class TokenBucket:
    """Lets ``burst`` calls through at once and then ``rate_per_second`` of them, first come first.

    It keeps one number, the moment at which the bucket will be full again (the generic cell rate
    algorithm, ITU-T I.371), so a caller computes its own wait and sleeps exactly once. A caller
    that is cancelled while it waits has used its turn up: the limit errs on the slow side.

    It holds nothing of an event loop: several loops in several threads may share one.

    Args:
        rate_per_second: Calls a second in the long run; above 0.
        burst: Calls that may go at once after a pause; at least 1.
        clock: Seconds that never go back; tests pass their own.
        sleep: Waits; tests pass their own.

    Raises:
        ValueError: The rate or the burst lets nothing through.
    """

    def __init__(
        self,
        rate_per_second: float,
        burst: int = 1,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if rate_per_second <= 0:
            raise ValueError(f"rate_per_second must be above 0, not {rate_per_second}")
        if burst < 1:
            raise ValueError(f"burst must be at least 1, not {burst}")
        self._interval = 1 / rate_per_second
        self._tolerance = (burst - 1) * self._interval
        self._clock = clock
        self._sleep = sleep
        self._full_at = float("-inf")
        self._turn = threading.Lock()

    @classmethod
    def per_minute(
        cls,
        requests: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> Self:
        """A bucket for so many requests a minute, with the burst of `BURST_SHARE`.

        Args:
            requests: Above 0; a process's share may be less than one.
            clock, sleep: See the class.
        """
        burst = max(1, int(requests // BURST_SHARE))
        return cls(requests / 60, burst, clock=clock, sleep=sleep)

    async def acquire(self) -> float:
        """Wait for a turn.

        Returns:
            Seconds waited.
        """
        with self._turn:
            now = self._clock()
            full_at = max(self._full_at, now)
            self._full_at = full_at + self._interval
        wait = max(0.0, full_at - self._tolerance - now)
        if wait:
            await self._sleep(wait)
        return wait


_shared: dict[tuple[str, float], TokenBucket] = {}
_sharing = threading.Lock()


def shared_bucket(service: str, requests_per_minute: float) -> TokenBucket:
    """This process's bucket for a service: one for all its runs, beside and after each other."""
    with _sharing:
        name = service, requests_per_minute
        if name not in _shared:
            _shared[name] = TokenBucket.per_minute(requests_per_minute)
        return _shared[name]
