"""Holding leases for as long as a run is at work: the pipeline's side of the ledger's leases."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Final, TypeVar

from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.ledger.jobs.leases import Leases
from photopipe_dagster.runtime.watchdog import Watchdog

_log = logging.getLogger(__name__)

Made = TypeVar("Made")

_POLL_SECONDS: Final = 0.5
_LONGEST_POLL_SECONDS: Final = 2.0
"""A hundred photos that all wait for another run's would else keep the ledger busy."""


class LeaseLostError(PhotopipeError):
    """Another took the lease over: whatever was done under it must stop."""


class LeaseHolder:
    """Renews one owner's leases, and cancels the work under a lease that was lost.

    A lease is lost only if this process stood still for longer than it runs, so that another
    took it: going on would mean two at work on one thing.

    Args:
        leases: The ledger's.
        owner: In whose name; no other process has it.
        lease_seconds: How long a lease runs untouched; it is renewed three times as often.
        watchdog: Ends the process if it stands still; ``None`` where it is not the run's own.
    """

    def __init__(
        self,
        leases: Leases,
        owner: str,
        lease_seconds: float,
        watchdog: Watchdog | None = None,
    ) -> None:
        self._leases = leases
        self._owner = owner
        self._every = lease_seconds / 3
        self._lost: set[str] = set()
        self._held: dict[str, asyncio.Task[Any] | None] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._wanted: Counter[str] = Counter()
        self._watchdog = watchdog
        self._tasks: list[asyncio.Task[None]] = []
        # Of its own: work that hangs may keep all other threads, and leases must be renewed.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="photopipe-leases")

    async def __aenter__(self) -> LeaseHolder:
        self._tasks.append(asyncio.create_task(self._renew()))
        if self._watchdog is not None:
            self._tasks.append(asyncio.create_task(self._beat(self._watchdog)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        try:
            await asyncio.shield(self._in_thread(self._leases.release, self._owner))
        finally:
            self._thread.shutdown(wait=False)
            if self._watchdog is not None:
                self._watchdog.stop()

    async def acquire_available(self, names: Sequence[str]) -> None:
        """Take those of many leases that are free, at once; `hold` later waits for the others."""
        taken = await self._in_thread(self._leases.take, names, self._owner)
        self._held |= dict.fromkeys(taken)

    @asynccontextmanager
    async def hold(
        self, name: str, *, waiting: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    ) -> AsyncIterator[None]:
        """Hold a lease, waiting until no other owner and no other task of this one has it.

        Args:
            waiting: Put around the wait, where there is one.

        Raises:
            LeaseLostError: It was lost meanwhile; the work under it has been cancelled.
        """
        async with self._turn(name, waiting):
            if name not in self._held and not await self._take(name):
                async with waiting():
                    await self._polled(name)
            self._held[name] = task = asyncio.current_task()
            try:
                yield
            except asyncio.CancelledError:
                if name not in self._lost or task is None:
                    raise
                task.uncancel()
                raise LeaseLostError(f"The lease {name} was lost to another run.") from None
            finally:
                self._held.pop(name, None)
                await asyncio.shield(self._in_thread(self._leases.release, self._owner, [name]))

    @asynccontextmanager
    async def _turn(
        self, name: str, waiting: Callable[[], AbstractAsyncContextManager[None]]
    ) -> AsyncIterator[None]:
        """One task of this owner after another."""
        lock, first, held = self._locks[name], not self._wanted[name], False
        self._wanted[name] += 1
        try:
            async with nullcontext() if first else waiting():
                await lock.acquire()
                held = True
            yield
        finally:
            self._wanted[name] -= 1
            if held:
                lock.release()

    async def _take(self, name: str) -> bool:
        return bool(await self._in_thread(self._leases.take, [name], self._owner))

    async def _polled(self, name: str) -> None:
        pause = _POLL_SECONDS
        while not await self._take(name):
            await asyncio.sleep(pause)
            pause = min(_LONGEST_POLL_SECONDS, 1.5 * pause)

    def _in_thread(self, call: Callable[..., Made], *values: Any) -> Awaitable[Made]:
        return asyncio.get_running_loop().run_in_executor(self._thread, call, *values)

    async def _beat(self, watchdog: Watchdog) -> None:
        while True:
            watchdog.beat()
            await asyncio.sleep(self._every)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            names = list(self._held)
            try:
                kept = await self._in_thread(self._leases.take, names, self._owner)
            except Exception:
                _log.exception("The leases could not be renewed; trying again")
                continue
            for name in set(names) - kept:
                if name in self._held:
                    _log.error("The lease %s was lost to another run", name)
                    self._lost.add(name)
                    if (task := self._held.pop(name)) is not None:
                        task.cancel()
