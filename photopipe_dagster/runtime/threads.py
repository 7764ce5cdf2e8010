"""Threads that know for which photo they work.

A task that is cancelled leaves its thread at work: nobody can stop a thread. A photo may go to
another run only when that has ended, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, Final

_at_work: Final[ContextVar[set[Future[Any]] | None]] = ContextVar("at_work", default=None)


class PhotoThreads(ThreadPoolExecutor):
    """The event loop's threads; `asyncio.to_thread` uses them."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a thread call a function, for the photo whose task says so."""
        future = super().submit(fn, *args, **kwargs)
        at_work = _at_work.get()
        if at_work is not None:
            at_work.add(future)
            future.add_done_callback(at_work.discard)
        return future


@asynccontextmanager
async def threads_end_here() -> AsyncIterator[None]:
    """Around the work of one task: it goes on when no thread works for it any more."""
    at_work: set[Future[Any]] = set()
    token = _at_work.set(at_work)
    try:
        yield
    finally:
        _at_work.reset(token)
        if still := tuple(at_work):
            await asyncio.shield(asyncio.wait([asyncio.wrap_future(each) for each in still]))
