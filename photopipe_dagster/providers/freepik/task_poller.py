"""Looking at backgrounds in the making: where several are waited for, at all of them at once.

The key allows so many requests a minute. Asked for one by one, twenty backgrounds would take all of
them for being looked at, and none would be left to buy the next. The list of all tasks tells how
each stands; only one that has ended is then asked for by itself, for its picture's address.

How many tasks the list holds is not documented. One that it should hold and does not is asked for
by itself, and so are all where the list is refused.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from photopipe_dagster.core.errors import JobError
from photopipe_dagster.providers.freepik.client import FreepikClient
from photopipe_dagster.providers.freepik.models import MysticTask

_log = logging.getLogger(__name__)

REQUESTS_PER_LIST: Final = 4
"""The list is asked for no more often than with a quarter of all requests."""


class TaskPoller:
    """Looks at the tasks that one provider waits for, in one event loop.

    Args:
        client: Freepik's API.
        every: Seconds between two lists at least.
        clock: Seconds that never go back.
    """

    def __init__(self, client: FreepikClient, *, every: float, clock: Callable[[], float]) -> None:
        self._client = client
        self._every = every
        self._clock = clock
        self._watched: dict[str, float] = {}
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")  # how old the list is
        self._next = float("-inf")  # when the next one may be asked for
        self._listed: dict[str, MysticTask] | None = {}

    @contextmanager
    def watching(self, task_id: str) -> Iterator[None]:
        """Around all looks at one task."""
        self._watched[task_id] = self._clock()
        try:
            yield
        finally:
            self._watched.pop(task_id, None)

    async def status(self, task_id: str) -> MysticTask | None:
        """How far a task is, or ``None`` if Freepik knows no such task.

        Raises:
            ProviderError, RateLimitError, NetworkError: As `FreepikClient.mystic_task`.
        """
        if len(self._watched) > 1:
            await self._ask()
            if self._listed is not None and not self._may_have_ended(task_id):
                return MysticTask(task_id=task_id)
        return await self._client.mystic_task(task_id)

    def _may_have_ended(self, task_id: str) -> bool:
        """Whether it is worth being asked for by itself."""
        if self._asked_at < self._watched.get(task_id, float("-inf")):
            return False  # the list is older than the task
        listed = (self._listed or {}).get(task_id)
        return listed is None or listed.completed or listed.failed

    async def _ask(self) -> None:
        """Ask for the list, unless that was done a moment ago.

        The moment counts from the answer: a request may have waited long for its turn, and all who
        waited for it take what it brought.
        """
        async with self._asking:
            if self._clock() < self._next:
                return
            asked_at = self._clock()
            try:
                tasks = await self._client.mystic_tasks()
                self._listed = {task.task_id: task for task in tasks}
            except JobError as error:
                _log.info("Freepik's list of tasks is not available: %s", error)
                self._listed = None
            self._asked_at, self._next = asked_at, self._clock() + self._every
