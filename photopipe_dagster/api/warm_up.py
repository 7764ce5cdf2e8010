"""Adds up ahead what pages show, so that nobody who looks at them waits for it.

Housekeeping does so once an hour, where Dagster runs; here it is done as soon as the API starts,
and then again and again, in a thread beside the requests.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Final

from fastapi import FastAPI

from photopipe_dagster.ledger import Ledger

EVERY_SECONDS: Final = 600.0

_log = logging.getLogger(__name__)


def warm_up_rollups(
    ledger: Ledger, every_seconds: float = EVERY_SECONDS
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """The lifespan of an application beside which it is done.

    At its end, a day that is being added up is the last one: a thread cannot be interrupted.

    Args:
        every_seconds: From one end to the next begin.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        stopped = threading.Event()
        task = asyncio.create_task(_warm_up(ledger, every_seconds, stopped.is_set))
        try:
            yield
        finally:
            stopped.set()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return lifespan


async def _warm_up(ledger: Ledger, every_seconds: float, stop: Callable[[], bool]) -> None:
    while True:
        try:
            await asyncio.to_thread(ledger.dashboard.warm_up, stop)
        except Exception as error:  # whatever it is: the next time, it may be over
            # Not its text: a driver's quotes the statement. Who looks meanwhile waits, or is told.
            _log.warning("The ledger could not be added up ahead: %s", type(error).__name__)
        await asyncio.sleep(every_seconds)
