"""The network as the clients of a row see it: real, but with a patience that does not take time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from photopipe_dagster.net.client import network


@dataclass(slots=True)
class FlyingTime:
    """Seconds that pass only while somebody sleeps, and then at once."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@dataclass(slots=True)
class ClientTimeouts:
    """What the clients wait for.

    Args:
        hung: How many requests the simulators have left hanging, their work done or not.
        refused: Whether a request cannot even connect; it is counted.
    """

    hung: Callable[[], int] = lambda: 0
    refused: Callable[[httpx.Request], bool] = lambda _: False


class Network(httpx.AsyncBaseTransport):
    """Real connections; where a server hangs, the read timeout comes at once."""

    def __init__(self, timeouts: ClientTimeouts) -> None:
        self._network = network()
        self._timeouts = timeouts

    async def aclose(self) -> None:
        await self._network.aclose()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._timeouts.refused(request):
            raise httpx.ConnectTimeout("made not to connect", request=request)
        before = self._timeouts.hung()
        answer = asyncio.create_task(self._network.handle_async_request(request))
        while not answer.done():
            await asyncio.wait({answer}, timeout=0.005)
            if self._timeouts.hung() > before and not answer.done():
                answer.cancel()
                await asyncio.gather(answer, return_exceptions=True)
                raise httpx.ReadTimeout("made to time out", request=request)
        return answer.result()
