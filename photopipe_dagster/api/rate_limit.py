"""How many requests somebody may send: a bucket for each token or address."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Final

from cachetools import LRUCache

from photopipe_dagster.net.rate_limit import Bucket

MAX_BUCKETS: Final = 10_000
"""How many are kept; the one that was used longest ago is forgotten first."""


class RateLimiter:
    """Token buckets: each holds a minute's requests, and fills up steadily.

    Of one process: with several, each allows as many.

    Args:
        per_minute: Requests a minute; 0: as many as you like.
        clock: Seconds of a monotonic clock; tests pass their own.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: LRUCache[Hashable, Bucket] = LRUCache(MAX_BUCKETS)

    def wait(self, who: Hashable) -> float:
        """Take one request out of a bucket.

        Returns:
            Seconds until there is one to take; 0: it was taken.
        """
        if not self._per_minute:
            return 0.0
        bucket = self._buckets.get(who)
        if bucket is None:
            bucket = Bucket(self._per_minute, self._per_minute / 60, clock=self._clock)
            self._buckets[who] = bucket
        return bucket.take_if_there()
