"""A clock that can be moved."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """The time as the sandbox sees it: real time, moved by what was asked.

    Expiry of URLs and tokens, the leaky bucket and the latency of background work read it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offset = 0.0

    def timestamp(self) -> float:
        """Seconds since 1970."""
        with self._lock:
            return time.time() + self._offset

    def now(self) -> datetime:
        """The same, timezone-aware (UTC)."""
        return datetime.fromtimestamp(self.timestamp(), UTC)

    def advance(self, seconds: float) -> datetime:
        """Move the clock forward (or back) and return the new time."""
        with self._lock:
            self._offset += seconds
        return self.now()

    def set(self, when: datetime) -> datetime:
        """Move the clock to a timezone-aware moment; it runs on from there."""
        return self.advance((when - self.now()) / timedelta(seconds=1))

    def reset(self) -> None:
        """Go back to real time."""
        with self._lock:
            self._offset = 0.0


def iso(when: datetime) -> str:
    """ISO 8601 in UTC, with milliseconds and a Z."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
