"""One sandbox for all tests of this folder, emptied before each."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import SimpleQueue
from typing import Any

import httpx
import pytest
from PIL import Image, ImageDraw

from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.server import RunningSandbox, running_sandbox

Delivery = tuple[dict[str, str], bytes]
"""Headers with lower-case names, and the raw body."""


def picture(size: tuple[int, int] = (120, 90), kind: str = "JPEG") -> bytes:
    """A red disc on white."""
    image = Image.new("RGB", size, "white")
    width, height = size
    box = (width // 4, height // 4, width * 3 // 4, height * 3 // 4)
    ImageDraw.Draw(image).ellipse(box, fill=(180, 20, 30))
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(scope="package")
def _running() -> Iterator[RunningSandbox]:
    with running_sandbox(SandboxConfig(mystic_scale=0.05)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_running: RunningSandbox) -> RunningSandbox:
    _running.state.reset()
    return _running


@pytest.fixture(scope="package")
def _client(_running: RunningSandbox) -> Iterator[httpx.Client]:
    # One for all: each new one loads the certificates again, which takes longer than a test.
    with httpx.Client(base_url=_running.url, trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
def http(sandbox: RunningSandbox, _client: httpx.Client) -> httpx.Client:
    return _client


@pytest.fixture
def graphql(http: httpx.Client, sandbox: RunningSandbox) -> Callable[..., dict[str, Any]]:
    """Post a document and return the body of the answer."""

    def post(query: str, *, version: str = "2026-10", **variables: Any) -> dict[str, Any]:
        answer = http.post(
            f"/shopify/admin/api/{version}/graphql.json",
            json={"query": query, "variables": variables},
            headers={"X-Shopify-Access-Token": sandbox.config.shopify_token},
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    return post


@pytest.fixture
def receiver() -> Iterator[tuple[str, SimpleQueue[Delivery]]]:
    """A webhook's URL, and what arrived there."""
    received: SimpleQueue[Delivery] = SimpleQueue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.put(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(202)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
