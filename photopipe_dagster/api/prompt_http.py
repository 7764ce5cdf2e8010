"""HTTP connections of clients that do not finish their requests are closed.

uvicorn waits for a request's head and body for as long as the client likes: a thousand half-open
connections would use up the process's files. So each request has a deadline, and each address may
have so many unfinished: the oldest gives way, for the next one may be somebody else behind the same
address. Many addresses at once are a proxy's business.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS: Final = 15.0
"""At most, from the connection, or from a request's first byte, to the end of its head."""

BODY_SECONDS: Final = 120.0
"""At most, from the end of a request's head to the end of its body: 20 MB at 1.4 Mbit/s."""


class PromptHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a deadline for each request to arrive, and a limit by address."""

    unfinished_per_address: ClassVar[int] = 250
    """Requests of one address that may be arriving at a time; a proxy is one address."""

    _unfinished: ClassVar[defaultdict[str, dict[PromptHttpProtocol, None]]] = defaultdict(dict)
    """Connections whose request is arriving, by address, oldest first."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Expect a request's head."""
        super().connection_made(transport)
        self._expect(HEAD_SECONDS)

    def on_message_begin(self) -> None:
        """Expect the head of a further request."""
        super().on_message_begin()
        self._expect(HEAD_SECONDS)

    def on_headers_complete(self) -> None:
        """Expect the body."""
        super().on_headers_complete()
        self._expect(BODY_SECONDS)

    def on_message_complete(self) -> None:
        """Expect nothing: it is our turn."""
        super().on_message_complete()
        self._expect(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing: it is over."""
        self._expect(None)
        super().connection_lost(exc)

    def _expect(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None
        if seconds is not None:
            # Those that came together do not come again together.
            self._deadline = self.loop.call_later(random.uniform(0.7, 1) * seconds, self._give_up)
        address = self.client[0] if self.client else ""
        arriving = self._unfinished[address]
        if seconds is None:
            arriving.pop(self, None)
        else:
            arriving.setdefault(self)
        if len(arriving) > self.unfinished_per_address:
            next(iter(arriving))._give_up()
        if not arriving:
            del self._unfinished[address]

    def _give_up(self) -> None:
        self._expect(None)
        self.transport.close()
