"""The outermost layer of the API: headers that every answer has, and no error that escapes."""

from __future__ import annotations

import logging
import traceback
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from photopipe_dagster.api.errors import error_response

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_NOTHING: Final = "default-src 'none'; frame-ancestors 'none'; sandbox"

_DOCS: Final = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data: https://fastapi.tiangolo.com; "
    "script-src 'unsafe-inline' https://cdn.jsdelivr.net; "
    "style-src 'unsafe-inline' https://cdn.jsdelivr.net; frame-ancestors 'none'"
)
"""What FastAPI's documentation page loads."""

_log = logging.getLogger(__name__)


class Guard:
    """Adds security headers where an answer has none, and answers unknown errors with a bare 500.

    Args:
        app: What it protects.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def guarded_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _protect(MutableHeaders(scope=message), scope["path"])
            await send(message)

        try:
            await self._app(scope, receive, guarded_send)
        except ClientDisconnect:
            return
        except Exception as error:  # the last line of defence: nothing is swallowed, it is logged
            _report(scope, error)
            if started:
                # The server has to cut the connection; what it logs must not quote values either.
                raise RuntimeError("an answer that had begun could not be finished") from None
            response = error_response(
                500, "internal_error", "Something went wrong on our side; the log says what."
            )
            await response(scope, receive, guarded_send)


def _protect(headers: MutableHeaders, path: str) -> None:
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    docs = path in ("/docs", "/redoc")
    headers.setdefault("Content-Security-Policy", _DOCS if docs else _NOTHING)


def _report(scope: Scope, error: Exception) -> None:
    """Log where an error came from. Not its text: libraries quote values there, URLs too."""
    _log.error(
        "%s %r failed with %s.%s\n%s",
        scope["method"],
        scope["path"],
        type(error).__module__,
        type(error).__qualname__,
        "".join(traceback.format_tb(error.__traceback__)),
    )
