"""Speed limits: the one bucket that all of them count with, and the one that callers wait for.

`TokenBucket` holds our calls of a service back, `RateLimiter` refuses those who call us too often,
and `CostBucket` reckons in Shopify's points.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Final, Self

BURST_SHARE: Final = 8
"""A burst is an eighth of a minute's requests, so that 40 a minute are never above 45."""


class Bucket:
    """Something that is used up and comes back steadily, up to a limit: requests, or points.

    It never waits: it says how long to. What is taken before it is there is owed, so that anyone
    who comes later waits for it too. Threads may share one.

    Args:
        capacity: The most that it holds. It begins full.
        per_second: How much comes back; above 0.
        clock: Seconds that never go back; tests pass their own.
    """

    __slots__ = ("_at", "_capacity", "_clock", "_level", "_lock", "_per_second")

    def __init__(
        self, capacity: float, per_second: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.set(capacity, capacity, per_second)

    def set(self, level: float, capacity: float, per_second: float) -> None:
        """Take over what somebody knows who counts better than we do."""
        with self._lock:
            self._level, self._capacity, self._per_second = level, capacity, per_second
            self._at = self._clock()

    def wait(self, amount: float) -> float:
        """Seconds until so much is there. More than a full bucket is taken for a full one."""
        with self._lock:
            self._fill()
            return self._until(amount)

    def take(self, amount: float = 1.0) -> float:
        """Take so much, whether or not it is there.

        Returns:
            Seconds until it is.
        """
        with self._lock:
            self._fill()
            wait = self._until(amount)
            self._level -= amount
            return wait

    def take_if_there(self, amount: float = 1.0) -> float:
        """Take so much if it is there.

        Returns:
            Seconds until it is; 0: it was taken.
        """
        with self._lock:
            self._fill()
            wait = self._until(amount)
            if not wait:
                self._level -= amount
            return wait

    def _fill(self) -> None:
        now = self._clock()
        self._level = min(self._capacity, self._level + (now - self._at) * self._per_second)
        self._at = now

    def _until(self, amount: float) -> float:
        return max(0.0, (min(amount, self._capacity) - self._level) / self._per_second)


class TokenBucket:
    """Lets ``burst`` calls through at once and then ``rate_per_second`` of them, first come first.

    A caller computes its own wait and sleeps exactly once. One that is cancelled while it waits
    has used its turn up: the limit errs on the slow side.

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
        self._bucket = Bucket(burst, rate_per_second, clock=clock)
        self._sleep = sleep

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
        wait = self._bucket.take()
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
