"""The outermost layer of the API: headers that every answer has, a limit that every body has, and
no error that escapes."""

from __future__ import annotations

import logging
import traceback
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from photopipe_dagster.api.error_handlers import page_or_json

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_NOTHING: Final = "default-src 'none'; frame-ancestors 'none'; sandbox"

_PAGE: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Of pages: nothing but our own files, and no script or style within a page."""

MAX_BODY_BYTES: Final = 1024 * 1024
"""Of any request but an upload, which `files` limits, and one with a photo in it."""

_UPLOADS: Final = "/files/"
_PHOTOS: Final = frozenset(
    f"{api}/{name}" for api in ("", "/api") for name in ("photos", "scenes", "themes/import")
)
_CUTOUTS: Final = ("/repair/upload", "/cutout/upload")
"""Ends of the paths of a job's cut-out."""

_log = logging.getLogger(__name__)


class OutermostMiddleware:
    """Adds security headers where an answer has none, and answers unknown errors with a bare 500.

    Args:
        app: What it protects.
        photo_bytes: Of a photo at most.
    """

    def __init__(self, app: ASGIApp, photo_bytes: int = 0) -> None:
        self._app = app
        self._photo_bytes = photo_bytes

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
                _protect(MutableHeaders(scope=message))
            await send(message)

        if "\0" in scope["path"]:  # Postgres takes it in no text, so nothing is named so
            response = page_or_json(Request(scope), 404, "not_found", "Not Found.")
            await response(scope, receive, guarded_send)
            return
        try:
            await self._app(scope, self._limit(scope["path"], receive), guarded_send)
        except ClientDisconnect:
            return
        except Exception as error:  # the last line of defence: nothing is swallowed, it is logged
            _report(scope, error)
            if started:
                # The server has to cut the connection; what it logs must not quote values either.
                raise RuntimeError("an answer that had begun could not be finished") from None
            response = page_or_json(
                Request(scope),
                500,
                "internal_error",
                "Something went wrong on our side; the log says what.",
            )
            await response(scope, receive, guarded_send)

    def _limit(self, path: str, receive: Receive) -> Receive:
        if path.startswith(_UPLOADS):
            return receive
        has_photo = path in _PHOTOS or path.endswith(_CUTOUTS)
        return _limited(receive, has_photo * self._photo_bytes + MAX_BODY_BYTES)


def _limited(receive: Receive, most: int) -> Receive:
    """Stop receiving where a body is too long."""
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            # What FastAPI lets through while it reads a body.
            raise HTTPException(413, f"The body is longer than {most} bytes")
        return message

    return limited


def _protect(headers: MutableHeaders) -> None:
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    page = headers.get("content-type", "").startswith("text/html")
    headers.setdefault("Content-Security-Policy", _PAGE if page else _NOTHING)


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
