"""Clients that begin requests and do not finish them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
import uvicorn

from photopipe_dagster.api import prompt_http
from photopipe_dagster.api.app import create_app
from photopipe_dagster.api.prompt_http import PromptHttpProtocol
from photopipe_dagster.api.server import server_config
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster_tests.support.world import free_port

BEGINNINGS = [
    b"",
    b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n",
    b"POST /api/webhooks/3jms/images HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n{",
]


@pytest.fixture
def port(
    settings: Settings, ledger: Ledger, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> Iterator[int]:
    monkeypatch.setattr(prompt_http, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(prompt_http, "BODY_SECONDS", 0.3)
    port = free_port()
    settings = settings.model_copy(update={"host": "127.0.0.1", "port": port})
    server = uvicorn.Server(server_config(create_app(settings, ledger, store), settings))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield port
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("beginning", BEGINNINGS, ids=["nothing", "half a head", "half a body"])
def test_half_open_requests_are_closed_and_keep_nobody_waiting(port: int, beginning: bytes):
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in "abc"]
        for each in slow:
            each.sendall(beginning)
            each.settimeout(20)
        assert httpx.get(f"http://127.0.0.1:{port}/health/live").status_code == 200
        assert [each.recv(1) for each in slow] == [b""] * len(slow)


def test_the_oldest_unfinished_request_of_an_address_gives_way(
    port: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(prompt_http, "HEAD_SECONDS", 20)
    monkeypatch.setattr(PromptHttpProtocol, "unfinished_per_address", 2)
    with ExitStack() as stack:
        slow = []
        for _ in range(3):
            slow.append(stack.enter_context(socket.create_connection(("127.0.0.1", port))))
            slow[-1].sendall(BEGINNINGS[1])
            # Answered while the others are there: their time has not come, and they count.
            assert httpx.get(f"http://127.0.0.1:{port}/health/live").status_code == 200
        slow[0].settimeout(20)
        assert slow[0].recv(1) == b""
        slow[-1].sendall(b"\r\n")
        slow[-1].settimeout(20)
        assert slow[-1].recv(12) == b"HTTP/1.1 200"
    while PromptHttpProtocol._unfinished:  # nothing is kept of who went
        time.sleep(0.01)


def test_an_answer_may_take_longer_than_a_request(port: int):
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(3):
            assert client.get("/health/live").status_code == 200
            time.sleep(0.4)
