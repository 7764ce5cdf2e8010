"""HTTP connections of clients that do not finish their requests are closed.

uvicorn waits for a request's head and body for as long as the client likes: a thousand half-open
connections would use up the process's files.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS: Final = 15.0
"""From the connection, or from a request's first byte, to the end of its head."""

BODY_SECONDS: Final = 120.0
"""From the end of a request's head to the end of its body: 20 MB at 1.4 Mbit/s."""


class PromptHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a deadline for each request to arrive."""

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
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        self.transport.close()
