"""Answers that go wrong on the wire."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

from fastapi import Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from photopipe_dagster.sandbox.faults import Fault

_CHUNK = 64 * 1024


class Connections:
    """The open connections of the server, by the client's address, so that they can be cut."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}

    def opened(self, transport: asyncio.Transport) -> None:
        """Note a connection; the server calls it."""
        with self._lock:
            self._transports[_peer(transport)] = transport

    def closed(self, transport: asyncio.Transport) -> None:
        """Forget a connection; the server calls it."""
        with self._lock:
            self._transports.pop(_peer(transport), None)

    def find(self, scope: Scope) -> asyncio.Transport:
        """The connection that a request came over.

        Raises:
            ConnectionResetError: There is none: the application runs without a server.
        """
        client = scope.get("client") or ("", 0)
        with self._lock:
            transport = self._transports.get((client[0], client[1]))
        if transport is None:
            raise ConnectionResetError("the connection was cut on purpose")
        return transport


def _peer(transport: asyncio.Transport) -> tuple[str, int]:
    address = transport.get_extra_info("peername") or ("", 0)
    return address[0], address[1]


class NoAnswer(Response):
    """Says nothing for a while, then cuts the connection."""

    def __init__(self, connections: Connections, seconds: float) -> None:
        super().__init__()
        self._connections = connections
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = self._connections.find(scope)
        if self._seconds:
            await _until_disconnected(receive, self._seconds)
        transport.abort()
        await _until_disconnected(receive, 5.0)


class Truncated(Response):
    """Promises a whole body and sends half of it."""

    def __init__(self, connections: Connections, whole: Response) -> None:
        super().__init__()
        self._connections = connections
        self._whole = whole

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = self._connections.find(scope)
        body = bytes(self._whole.body)
        start = {
            "type": "http.response.start",
            "status": self._whole.status_code,
            "headers": self._whole.raw_headers,
        }
        await send(start)
        half = body[: len(body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        transport.close()
        await _until_disconnected(receive, 5.0)


async def _until_disconnected(receive: Receive, seconds: float) -> None:
    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    try:
        await asyncio.wait_for(gone(), seconds)
    except TimeoutError:
        return


def instead_of_work(fault: Fault, service: str, connections: Connections) -> Response | None:
    """The answer of a fault that does no work; ``None`` if the work has to be done first."""
    match fault.kind:
        case "status":
            return _status(fault, service)
        case "html":
            page = "<!doctype html><title>Bad gateway</title><h1>Bad gateway</h1>"
            return Response(page, media_type="text/html")
        case "redirect":
            return Response(status_code=302, headers={"location": fault.location})
        case "huge":
            return _huge(fault.size_bytes)
        case "timeout_before":
            return NoAnswer(connections, fault.seconds)
        case "reset":
            return NoAnswer(connections, 0)
        case _:
            return None


def spoil(fault: Fault, response: Response, connections: Connections) -> Response:
    """What becomes of the answer after the work was done."""
    match fault.kind:
        case "timeout_after":
            return NoAnswer(connections, fault.seconds)
        case "reset_after":
            return NoAnswer(connections, 0)
        case "truncated":
            return Truncated(connections, response)
        case "wrong_content_type":
            response.headers["content-type"] = fault.content_type
            return response
        case "wrong_json":
            return Response('{"unexpected": ["shape"]}', media_type="application/json")
        case _:
            return response


_PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Resource not found",
    423: "Locked",
    429: "Too many requests",
    500: "Internal Server Error",
    503: "Service Unavailable. Please try again later.",
}


def _status(fault: Fault, service: str) -> Response:
    word = {"freepik": "message", "shopify": "errors"}.get(service, "detail")
    phrase = _PHRASES.get(fault.status, "Made to fail.")
    body = fault.body if fault.body is not None else f'{{"{word}": "{phrase}"}}'
    headers = {"content-type": "application/json", **fault.headers}
    return Response(body, status_code=fault.status, headers=headers)


def _huge(size: int) -> Response:
    async def zeros() -> AsyncIterator[bytes]:
        left = size
        while left > 0:
            yield bytes(min(_CHUNK, left))
            left -= _CHUNK

    return StreamingResponse(
        zeros(), media_type="image/jpeg", headers={"content-length": str(size)}
    )
