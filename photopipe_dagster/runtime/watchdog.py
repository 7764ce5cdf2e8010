"""Ends a run's process that stands still for so long that its photos go to another run.

A call that hangs and keeps Python's lock, or a process that was stopped, cannot renew its leases
nor notice that it has lost them: when it goes on, two processes work on one photo. So a thread
outside of Python's lock (`faulthandler`'s) ends the process a little before its leases end, and
writes to the log where each thread stood.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import time
from contextlib import suppress
from typing import Final

_STDERR: Final = 2
"""Its descriptor: no Python object can be relied on when the process hangs."""

_SHARE_OF_LEASE: Final = 0.9
"""After which the process ends: leases must not have ended yet."""


class Watchdog:
    """Ends this process unless `beat` is called often enough; there is one timer in a process.

    Args:
        lease_seconds: How long a lease runs untouched.
    """

    def __init__(self, lease_seconds: float) -> None:
        self._limit = _SHARE_OF_LEASE * lease_seconds
        self._last: float | None = None

    def beat(self) -> None:
        """The process is at work: the time begins again. It ends here if that is over already."""
        now = time.monotonic()
        if self._last is not None and now - self._last > self._limit:
            # It was stopped, and this thread has woken up before the other one.
            print("The process stood still for longer than its leases run.", file=sys.stderr)  # noqa: T201
            os._exit(1)
        self._last = now
        with suppress(OSError, RuntimeError):  # standard error is closed
            faulthandler.dump_traceback_later(self._limit, exit=True, file=_STDERR)

    def stop(self) -> None:
        """Nothing is at work any more."""
        if self._last is not None:
            self._last = None
            faulthandler.cancel_dump_traceback_later()
