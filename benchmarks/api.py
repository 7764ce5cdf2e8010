"""The API under load: `python -m benchmarks.api [--jobs 1000000] [--webhooks 20000] [--check]`.

Two questions, each on SQLite and on a real Postgres, with the API as a process of its own and its
log as it comes, all of it on two cores:

* Webhooks: 32 connections that stay open send new, signed announcements. How many a second are in
  the ledger when they are answered? None may be missing. Once with an empty ledger, once with a
  full one.
* A ledger of a million jobs: how long do list, job, stats, metrics and pages take, one after
  another?

With ``--check`` a figure that misses its aim ends the program with status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
from sqlalchemy import event, text

from benchmarks.loading import THEMES, fill, photo
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.sources.threejms.webhook import sign
from photopipe_dagster_tests.support.postgres import new_database, running_postgres

CORES: Final = 2
CONNECTIONS: Final = 32
AIM_PER_SECOND: Final = 1000
AIM_MS: Final = 50.0
PAGE_AIM_MS: Final = 300.0
SECRET: Final = "webhook-secret-of-a-benchmark"  # noqa: S105
STATUSES: Final = ("NEW", "QUEUED", "SEGMENTING", "COMPOSITING", "FAILED", "DONE")
DAYS: Final = 365
"""Over which the jobs came in."""
DEEPEST_PAGE: Final = 10_000
"""Of the lists on pages."""


def main() -> int:
    """Measure; returns how many aims were missed, or 0 without ``--check``."""
    options = _options()
    if hasattr(os, "sched_setaffinity"):  # all that is started here inherits it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    missed = 0
    with (
        running_postgres() as server,
        new_database(server) as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        for name, database in (("SQLite", f"sqlite:///{folder}/ledger.db"), ("Postgres", url)):
            print(f"{name}:", flush=True)
            missed += _measure(database, Path(folder), options)
    return missed if options.check else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--webhooks", type=int, default=20_000)
    parser.add_argument("--requests", type=int, default=200, help="of each kind")
    parser.add_argument("--check", action="store_true")
    return parser.parse_args()


def _measure(database: str, folder: Path, options: argparse.Namespace) -> int:
    ledger = Ledger(database)
    if database.startswith("sqlite"):  # to be full soon: what the API opens is as it comes
        event.listen(ledger.database.engine, "connect", _hold_more_in_memory)
    ledger.database.migrate()
    missed = _measure_webhooks(ledger, database, folder, range(options.webhooks))
    started = time.perf_counter()
    fill(ledger, options.jobs, days=DAYS, until=datetime.now(UTC))
    with ledger.database.write() as connection:
        connection.execute(text(_ON_THEIR_WAY))
    print(f"  {options.jobs:,} jobs made in {time.perf_counter() - started:.0f} s", flush=True)
    more = range(options.webhooks, 2 * options.webhooks)
    missed += _measure_webhooks(ledger, database, folder, more)
    ledger.close()
    with _running_api(database, folder) as base_url, _client(base_url) as client:
        for page in ("/?days=30", "/metrics"):
            print(f"  {page:20} {_timed(client, page):6.0f} ms at once after the start", flush=True)
        for kind, urls in _questions(options).items():
            missed += _measure_answers(client, kind, urls)
    return missed


def _hold_more_in_memory(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA cache_size=-1000000")
    connection.execute("PRAGMA synchronous=OFF")


_ON_THEIR_WAY = """
UPDATE jobs
SET completed_at = NULL, failed_at = NULL, updated_at = created_at,
    status = CASE WHEN substr(sha256, 3, 1) < '4' THEN 'NEW' WHEN substr(sha256, 3, 1) < '8'
        THEN 'QUEUED' WHEN substr(sha256, 3, 1) < 'c' THEN 'SEGMENTING' ELSE 'COMPOSITING' END,
    review = CASE WHEN substr(sha256, 3, 1) >= 'e' THEN 'waiting' END
WHERE sha256 LIKE '00%'
"""
"""One in 256 jobs, however old: so many are stuck in no shop."""


def _measure_webhooks(ledger: Ledger, database: str, folder: Path, photos: range) -> int:
    before = ledger.jobs.stats().total
    with _running_api(database, folder) as base_url:
        rate, millis = asyncio.run(_flood(httpx.URL(base_url).port or 80, photos))
    lost = before + len(photos) - ledger.jobs.stats().total
    late = rate < AIM_PER_SECOND or lost != 0
    print(
        f"  {len(photos):,} webhooks beside {before:,} jobs: {rate:,.0f} a second, "
        f"{_percentiles(millis)}, {lost} lost {'MISSED' if late else ''}",
        flush=True,
    )
    return late


def _measure_answers(client: httpx.Client, kind: str, urls: list[str]) -> int:
    millis = [_timed(client, url) for url in urls]
    late = _percentile(millis, 95) > (PAGE_AIM_MS if kind.startswith("page") else AIM_MS)
    print(f"  {kind:20} {_percentiles(millis)} {'MISSED' if late else ''}", flush=True)
    return late


def _percentiles(millis: list[float]) -> str:
    return f"p50 {statistics.median(millis):6.1f} ms  p95 {_percentile(millis, 95):6.1f} ms"


def _percentile(millis: list[float], percent: int) -> float:
    return sorted(millis)[len(millis) * percent // 100]


@contextmanager
def _running_api(database: str, folder: Path) -> Iterator[str]:
    """A process that serves a ledger; yields its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {
        **os.environ,
        "DATABASE_URL": database,
        "DATA_DIR": str(folder / "data"),
        "PORT": str(port),
        "THREEJMS_WEBHOOK_SECRET": SECRET,
        "API_RATE_LIMIT_PER_MINUTE": "0",
        "DAGSTER_HOME": "",
    }
    command = [sys.executable, "-m", "photopipe_dagster", "api"]
    with (folder / "api.log").open("ab") as log:
        server = subprocess.Popen(command, env=variables, cwd=folder, stderr=log)
    base_url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{base_url}/health/live").raise_for_status()
                break
            except httpx.TransportError:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield base_url
    finally:
        server.terminate()
        server.wait(60)


def _client(base_url: str) -> httpx.Client:
    return httpx.Client(base_url=base_url, timeout=60)


async def _flood(port: int, photos: range) -> tuple[float, list[float]]:
    """Send webhooks; returns how many a second were answered, and the milliseconds of each."""
    requests = [_webhook(number) for number in photos]
    millis: list[float] = []

    async def send(mine: list[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in mine:
            started = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 201"), head
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            millis.append((time.perf_counter() - started) * 1000)
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(send(requests[each::CONNECTIONS]) for each in range(CONNECTIONS)))
    return len(photos) / (time.perf_counter() - started), millis


def _webhook(number: int) -> bytes:
    digest = hashlib.sha256(f"photo {number}".encode()).hexdigest()
    body = (
        f'{{"event": "image.created", "sku": "NEW-{number % 5000}", "sha256": "{digest}", '
        f'"imageUrl": "https://photos.example/{digest}.jpg", "takenAt": "2026-11-01T12:00:00Z"}}'
    ).encode()
    return (
        b"POST /api/webhooks/3jms/images HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: application/json\r\n"
        + f"X-3JMS-Signature: {sign(SECRET.encode(), body)}\r\n".encode()
        + f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )


def _questions(options: argparse.Namespace) -> Mapping[str, list[str]]:
    """URLs by kind: what people and programs ask for, in random order."""
    dice = random.Random(1)
    count, jobs = options.requests, options.jobs

    def lists(**filters: object) -> list[str]:
        return [
            _list(dice.choice((50, 100)), 50 * dice.randint(0, 200), filters) for _ in range(count)
        ]

    def deep(share: float, **filters: object) -> list[str]:
        return [_list(100, dice.randint(0, int(jobs * share)), filters) for _ in range(count)]

    return {
        "job": [f"/api/jobs/{photo(dice.randrange(jobs)).job_id}" for _ in range(count)],
        "list": lists(),
        "list of a status": [url for status in STATUSES for url in lists(status=status)],
        "list of a theme": [url for theme in THEMES for url in lists(theme=theme)],
        "list of both": lists(theme="luxury", status="DONE"),
        "list of a SKU": [_list(50, 0, {"sku": _sku(dice, jobs)}) for _ in range(count)],
        "list, deep": deep(1.0),
        "list, deep, DONE": deep(0.97, status="DONE"),
        "list, deep, theme": deep(0.2, theme="kitchen"),
        "stats": ["/api/jobs/stats"] * count,
        "metrics": ["/metrics"] * count,
        "page today": ["/?days=1"] * count,
        "page 7 days": ["/?days=7"] * count,
        "page 30 days": ["/?days=30"] * count,
        "page jobs": [f"/jobs?page={dice.randint(1, DEEPEST_PAGE)}" for _ in range(count)],
        "page jobs, SKU": [f"/jobs?sku={_sku(dice, jobs)[:-1]}" for _ in range(count)],
        "page job": [f"/jobs/{photo(dice.randrange(jobs)).job_id}" for _ in range(count)],
        "page gallery": [f"/gallery?page={dice.randint(1, DEEPEST_PAGE)}" for _ in range(count)],
        "page review": ["/review"] * count,
        "page themes": ["/themes"] * count,
    }


def _list(limit: int, offset: int, filters: Mapping[str, object]) -> str:
    query = {"limit": limit, "offset": offset, **filters}
    return str(httpx.URL("/api/jobs", params={name: str(value) for name, value in query.items()}))


def _sku(dice: random.Random, jobs: int) -> str:
    return photo(dice.randrange(jobs)).sku


def _timed(client: httpx.Client, url: str) -> float:
    started = time.perf_counter()
    response = client.get(url)
    seconds = time.perf_counter() - started
    assert response.status_code == 200, (url, response.text[:500])
    return seconds * 1000


if __name__ == "__main__":
    raise SystemExit(main())
