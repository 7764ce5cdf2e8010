"""Writes announced photos into the ledger, those that come at the same time together.

A commit waits for the disk, whether it holds one photo or hundreds. So while one commit is under
way, what comes in gathers, and goes into the next. Nobody is answered before the commit that holds
their photo.
"""

from __future__ import annotations

import asyncio
from typing import Final

from photopipe_dagster.ledger.jobs.intake import Arrival, JobIntake

MAX_BATCH: Final = 256
"""Photos that are written together."""


class BatchWriter:
    """The way of photos into the ledger.

    Args:
        intake: The ledger's.
    """

    def __init__(self, intake: JobIntake) -> None:
        self._intake = intake
        self._waiting: list[tuple[Arrival, asyncio.Future[bool]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def submit(self, arrival: Arrival) -> bool:
        """Announce a photo.

        Returns:
            Whether its job is new. It is in the ledger, for good.
        """
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, written))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        return await written

    async def _write_all(self) -> None:
        while self._waiting:
            batch = self._waiting[:MAX_BATCH]
            del self._waiting[:MAX_BATCH]
            await self._write(batch)

    async def _write(self, batch: list[tuple[Arrival, asyncio.Future[bool]]]) -> None:
        arrivals, waiting = zip(*batch, strict=True)
        try:
            results = await asyncio.to_thread(self._intake.submit_all, arrivals)
        except Exception as error:
            if len(batch) > 1:  # each by itself: one must not spoil the others
                for one in batch:
                    await self._write([one])
            elif not waiting[0].done():
                waiting[0].set_exception(error)
            return
        for written, created in zip(waiting, results, strict=True):
            if not written.done():  # a client may have gone meanwhile
                written.set_result(created)
