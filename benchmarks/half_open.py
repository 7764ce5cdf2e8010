"""Half-open connections: `python -m benchmarks.half_open [--connections 1500] [--seconds 60]`.

So many clients of one address each begin a request to the API and do not finish it; one that is
closed comes again. Meanwhile somebody else asks, each time over a new connection: how long does he
wait? The API is a process of its own with 1,024 files, as most shells start one.

With ``--check`` an answer that takes longer than the aim, or does not come, ends the program with
status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from benchmarks.sandbox import wait_for
from photopipe_dagster.demo.process_group import HOST, free_port

AIM_SECONDS: Final = 1.0
PAUSE_SECONDS: Final = 0.2
ALONE_SECONDS: Final = 10.0
"""For what this machine is able to without them."""

FILES: Final = 1024
BEGINNINGS: Final = (
    b"",
    b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n",
    b"POST /api/webhooks/3jms/images HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n{",
)


def main() -> int:
    """Measure; returns 1 if the aim was missed and is checked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=1500)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder, _running_api(Path(folder)) as port:
        alone, _ = asyncio.run(_besiege(port, 0, ALONE_SECONDS))
        waits, silent = asyncio.run(_besiege(port, options.connections, options.seconds))
    late = silent > 0 or max(waits) > AIM_SECONDS
    waits.sort()
    print(
        f"{options.connections:,} half-open connections for {options.seconds:g} s: "
        f"{len(waits) - silent} others answered, p50 {waits[len(waits) // 2] * 1000:.0f} ms, "
        f"slowest {waits[-1] * 1000:.0f} ms, {silent} not {'MISSED' if late else ''}\n"
        f"without any: slowest {max(alone) * 1000:.0f} ms"
    )
    return int(late and options.check)


@contextmanager
def _running_api(folder: Path) -> Iterator[int]:
    """The API with as many files as a shell gives it; yields its port."""
    port = free_port()
    variables = {**os.environ, "DATA_DIR": str(folder), "PORT": str(port), "DAGSTER_HOME": ""}
    limited = f"ulimit -S -n {FILES}; exec {sys.executable} -m photopipe_dagster api"
    with (folder / "api.log").open("ab") as log:
        process = subprocess.Popen(["sh", "-c", limited], env=variables, stdout=log, stderr=log)
    try:
        wait_for(f"http://{HOST}:{port}/health/live")
        yield port
    finally:
        process.terminate()
        process.wait(30)


async def _besiege(port: int, connections: int, seconds: float) -> tuple[list[float], int]:
    """Hold connections open, and ask meanwhile; returns how long answers took, how many lack."""
    held = [asyncio.create_task(_hold(port, number)) for number in range(connections)]
    await asyncio.sleep(2)  # until they stand
    waits, silent, end = [], 0, time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.monotonic()
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=10, verify=False) as client:  # noqa: S501
                answer = await client.get(f"http://{HOST}:{port}/health/live")
            answer.raise_for_status()
        except httpx.HTTPError:
            silent += 1
        waits.append(time.monotonic() - started)
        await asyncio.sleep(PAUSE_SECONDS)
    for each in held:
        each.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    return waits, silent


async def _hold(port: int, number: int) -> None:
    """Begin a request and never finish it, again and again."""
    while True:
        try:
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(BEGINNINGS[number % len(BEGINNINGS)])
            await reader.read()
            writer.close()
        except OSError:
            pass
        await asyncio.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    raise SystemExit(main())
