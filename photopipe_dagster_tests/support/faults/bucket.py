"""A bucket behind a proxy that can be made to fail: a real S3 server, real trouble before it."""

from __future__ import annotations

import http.client
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from botocore.exceptions import ConnectTimeoutError
from botocore.httpsession import URLLib3Session

from photopipe_dagster_tests.support.faults.calls import CANARY, NOT_CONNECTED

BUCKET: Final = "photos"

_CODES: Final = {
    "400": "InvalidRequest",
    "401": "Unauthorized",
    "403": "AccessDenied",
    "403 expired token": "ExpiredToken",
    "404": "NoSuchBucket",
    "409": "OperationAborted",
    "429": "TooManyRequests",
    "500": "InternalError",
    "503": "ServiceUnavailable",
    "503 SlowDown": "SlowDown",
}
_HANGING: Final = "timeout after send, "
_RESET: Final = "connection reset, "
_DONE: Final = ", done"


class Trouble:
    """What is planned to go wrong, and how often it has."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.asked, self.name, self.left, self.happened = "", "", 0, 0

    def plan(self, asked: str, name: str, times: int) -> None:
        """Let requests fail: those whose method and key begin so."""
        with self._lock:
            self.asked, self.name, self.left, self.happened = asked, name, times, 0

    def ahead(self, method: str, url: str) -> str | None:
        """What will happen to a request of ours."""
        key = unquote(urlsplit(url).path).removeprefix(f"/{BUCKET}/")
        planned = self.left > 0 and f"{method} {key}".startswith(self.asked)
        return self.name if planned else None

    def take(self, method: str, url: str) -> str | None:
        """What happens to a request; counts it."""
        with self._lock:
            name = self.ahead(method, url)
            if name is not None:
                self.left -= 1
                self.happened += 1
            return name


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    trouble: Trouble
    server_url: str

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        # Anyone who comes with a signed URL, as a provider does, is not meant.
        ours = "authorization" in self.headers
        name = self.trouble.take(self.command, self.path) if ours else None
        if name is None:
            self._answer(*self._forward(body))
        elif name.startswith((_HANGING, _RESET)):
            if name.endswith(_DONE):
                self._forward(body)
            self._cut(at_once=name.startswith(_RESET))
        else:
            self._spoil(name, body)

    do_GET = do_HEAD = do_PUT = do_DELETE = handle_any  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass

    def _spoil(self, name: str, body: bytes) -> None:
        match name:
            case "truncated body":
                status, headers, data = self._forward(body)
                self._answer(status, headers, data, cut_at=len(data) // 2)
            case "wrong content type":
                status, headers, data = self._forward(body)
                self._answer(status, headers | {"Content-Type": "text/plain"}, data)
            case "a web page":
                page = b"<!doctype html><title>Log in</title>"
                self._answer(200, {"Content-Type": "text/html"}, page)
            case "404 of somebody else":
                self._answer(404, {"Content-Type": "text/html"}, b"<html>not here</html>")
            case _:
                retry = {"Retry-After": "7"} if name.endswith("Retry-After") else {}
                code = _CODES.get(name) or _CODES[name.partition(" ")[0]]
                said = (
                    f"<Error><Code>{code}</Code><Message>See https://s3.test/?sig={CANARY}"
                    f"</Message><StringToSign>{CANARY}</StringToSign></Error>"
                )
                status = int(name.partition(" ")[0])
                self._answer(status, {"Content-Type": "application/xml"} | retry, said.encode())

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        behind = http.client.HTTPConnection(urlsplit(self.server_url).netloc)
        behind.request(self.command, self.path, body, dict(self.headers))
        answer = behind.getresponse()
        headers = {
            name: value
            for name, value in answer.getheaders()
            if name.lower() not in ("connection", "content-length", "transfer-encoding")
        }
        data = answer.read()
        if self.command == "HEAD":
            headers["Content-Length"] = answer.headers.get("content-length", "0")
        behind.close()
        return answer.status, headers, data

    def _answer(
        self, status: int, headers: dict[str, str], data: bytes, cut_at: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(data))} | headers).items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:cut_at])
        self.close_connection = True

    def _cut(self, *, at_once: bool) -> None:
        if not at_once:
            select.select([self.connection], [], [], 10)  # until the client hangs up
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True


@contextmanager
def faulty(server_url: str) -> Iterator[tuple[str, Trouble]]:
    """A proxy before an S3 server: its URL, and the trouble it can make."""
    trouble = Trouble()
    handler = type("Proxy", (_Proxy,), {"trouble": trouble, "server_url": server_url})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", trouble
    server.shutdown()
    server.server_close()


def impatience(trouble: Trouble) -> Callable[..., Any]:
    """A hook of botocore: time limits come at once, where the proxy lets a request hang."""
    hasty = URLLib3Session(timeout=0.05)  # type: ignore[arg-type]  # its stubs know whole seconds

    def before_send(request: Any, **_: object) -> Any:
        ahead = trouble.ahead(request.method, request.url)
        if ahead == NOT_CONNECTED:
            trouble.take(request.method, request.url)
            raise ConnectTimeoutError(endpoint_url=request.url)
        if ahead is not None and ahead.startswith(_HANGING):
            return hasty.send(request)
        return None

    return before_send
