"""The network, which a test cuts where it wants."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from photopipe_dagster.net.client import network

Cut = Callable[[httpx.Request], httpx.Response | BaseException | None]
"""Says what becomes of a request: an answer, an error, or nothing but what would anyway."""


def uncut(_: httpx.Request) -> None:
    """Nothing."""


class KilledError(BaseException):
    """The process ends here. No handler of errors sees it, and what it leaves is left for good."""


class Wire(httpx.AsyncBaseTransport):
    """Sends requests over the real network. One event loop has one.

    Args:
        before: Says what becomes of a request that has not been sent.
        after: The same of one that was sent and answered: the service has done what it says.
    """

    def __init__(self, before: Cut = uncut, after: Cut = uncut) -> None:
        self.before = before
        self.after = after
        self._network = network()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, unless it is not to be."""
        fate = self.before(request)
        if fate is None:
            response = await self._network.handle_async_request(request)
            fate = self.after(request)
            if fate is None:
                return response
            await response.aclose()
        if isinstance(fate, BaseException):
            raise fate
        return fate

    async def aclose(self) -> None:
        """Close connections."""
        await self._network.aclose()
