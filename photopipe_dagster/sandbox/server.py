"""Run a sandbox: for good, or for the length of a test."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from photopipe_dagster.sandbox.app import create_app
from photopipe_dagster.sandbox.broken import Connections
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.state import SandboxState

_START_SECONDS = 15.0
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A sandbox that answers on a loopback port.

    Args:
        url: Its base URL, without a slash at the end.
        config: Keys, secrets and prices.
        state: Everything in it, to inspect and to set.
    """

    url: str
    config: SandboxConfig
    state: SandboxState

    @property
    def threejms_url(self) -> str:
        """Value for THREEJMS_API_URL."""
        return f"{self.url}/threejms"

    @property
    def freepik_url(self) -> str:
        """Value for FREEPIK_API_URL."""
        return f"{self.url}/freepik"

    @property
    def shopify_url(self) -> str:
        """Value for SHOPIFY_STORE."""
        return f"{self.url}/shopify"


def serve(config: SandboxConfig, host: str = "127.0.0.1", port: int = 4010) -> None:
    """Run a sandbox until it is interrupted."""
    app = create_app(config)
    uvicorn.Server(_settings(app, host=host, port=port, log_level="info")).run()


@contextmanager
def running_sandbox(config: SandboxConfig | None = None) -> Iterator[RunningSandbox]:
    """A sandbox on a free loopback port, in a thread of this process.

    Raises:
        RuntimeError: It did not come up.
    """
    config = config or SandboxConfig()
    app = create_app(config)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        server = uvicorn.Server(_settings(app, log_level="error"))
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listening]}, name="sandbox", daemon=True
        )
        thread.start()
        try:
            _wait_for(server, thread)
            yield RunningSandbox(f"http://127.0.0.1:{port}", config, state_of(app))
        finally:
            server.should_exit = server.force_exit = True
            thread.join(_STOP_SECONDS)


def state_of(app: FastAPI) -> SandboxState:
    """The state behind an application that `create_app` made."""
    state = app.state.sandbox
    if not isinstance(state, SandboxState):
        raise TypeError("the application is no sandbox")
    return state


def _wait_for(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("The sandbox did not start; see its messages above.")
        time.sleep(0.005)


def _settings(
    app: FastAPI, *, log_level: str, host: str = "127.0.0.1", port: int = 0
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level=log_level,
        access_log=False,
        lifespan="off",
        ws="none",
        http=_protocol(state_of(app).connections),
        timeout_graceful_shutdown=1,
    )


def _protocol(connections: Connections) -> type[asyncio.Protocol]:
    """An HTTP protocol that lets its connections be cut: ASGI itself has no way to."""

    class CuttableProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            connections.opened(transport)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.closed(self.transport)
            super().connection_lost(exc)

    return CuttableProtocol
