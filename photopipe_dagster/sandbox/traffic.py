"""How requests are let in: counted, delayed, and made to fail where that is planned."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from photopipe_dagster.sandbox.broken import Connections, instead_of_work, spoil
from photopipe_dagster.sandbox.faults import BACKGROUND_WORK, INSIDE, OPERATIONS, Fault, Faults

Work = Callable[[Fault | None], Awaitable[Response]]
"""Does what was asked. It is given a fault that it has to act out itself, or ``None``."""


class Traffic:
    """The door that every request to a simulator goes through."""

    def __init__(self, faults: Faults, connections: Connections) -> None:
        self.faults = faults
        self.connections = connections
        self._lock = threading.Lock()
        self._latencies: dict[str, float] = {}
        self.reset()

    def reset(self) -> None:
        """Forget the counts."""
        with self._lock:
            self._requests: Counter[str] = Counter()
            self._running: Counter[str] = Counter()
            self._peak: Counter[str] = Counter()

    def set_latencies(self, latencies: Mapping[str, float], *, replace: bool = False) -> None:
        """Delay operations from now on.

        Args:
            latencies: Seconds, by operation.
            replace: Forget all others.

        Raises:
            ValueError: A name is unknown, or a number is negative.
        """
        unknown = sorted(set(latencies) - {*OPERATIONS, *BACKGROUND_WORK})
        if unknown:
            known = ", ".join((*OPERATIONS, *BACKGROUND_WORK))
            raise ValueError(f"no such operation: {', '.join(unknown)}; known are {known}")
        if any(seconds < 0 for seconds in latencies.values()):
            raise ValueError("a latency is 0 seconds or more")
        with self._lock:
            if replace:
                self._latencies = {}
            self._latencies.update(latencies)

    def latencies(self) -> dict[str, float]:
        """Seconds, by operation; those that are set."""
        with self._lock:
            return dict(self._latencies)

    def latency(self, name: str) -> float:
        """Seconds for one name; 0 if not set."""
        with self._lock:
            return self._latencies.get(name, 0.0)

    def counts(self) -> dict[str, dict[str, int]]:
        """By operation: how many requests there were, and how many ran at once at most."""
        with self._lock:
            return {
                name: {"requests": number, "peak": self._peak[name]}
                for name, number in sorted(self._requests.items())
            }

    def requests(self, operation: str) -> int:
        """How often an operation was asked for."""
        with self._lock:
            return self._requests[operation]

    @property
    def idle(self) -> bool:
        """Whether no request is being worked on; one whose client has hung up still may be."""
        with self._lock:
            return not any(self._running.values())

    async def admit(self, operations: Sequence[str], work: Work) -> Response:
        """Let one request in.

        Args:
            operations: Names that the request goes by, at least one.
            work: Does what was asked.
        """
        service = operations[0].partition(".")[0]
        with self._counted(operations):
            delay = max(self.latency(name) for name in operations)
            if delay:
                await asyncio.sleep(delay)
            fault = self.faults.take(operations)
            if fault is None or fault.kind in INSIDE:
                return await work(fault)
            answer = instead_of_work(fault, service, self.connections)
            if answer is not None:
                return answer
            return spoil(fault, await work(None), self.connections)

    def route_class(
        self, refuse: Callable[[Request], Response | None] = lambda _: None
    ) -> type[APIRoute]:
        """Routes that let their requests in by their own name, with the fault at `fault_of`.

        Args:
            refuse: Answers instead of the work where it has a reason to.
        """
        traffic = self

        class AdmittingRoute(APIRoute):
            def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
                handle = super().get_route_handler()

                async def admitted(request: Request) -> Response:
                    async def work(fault: Fault | None) -> Response:
                        request.state.fault = fault
                        return refuse(request) or await handle(request)

                    return await traffic.admit([self.name], work)

                return admitted

        return AdmittingRoute

    @contextmanager
    def _counted(self, operations: Sequence[str]) -> Iterator[None]:
        with self._lock:
            self._requests.update(operations)
            self._running.update(operations)
            for name in operations:
                self._peak[name] = max(self._peak[name], self._running[name])
        try:
            yield
        finally:
            with self._lock:
                self._running.subtract(operations)


def fault_of(request: Request) -> str | None:
    """The kind of the fault that a request has to act out, if any."""
    fault = request.state.fault
    return fault.kind if isinstance(fault, Fault) else None
