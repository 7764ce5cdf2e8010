"""The API under load: `python -m benchmarks.api [--jobs 1000000] [--webhooks 20000] [--check]`.

Two questions, each on SQLite and on a real Postgres, with the API as a process of its own:

* Webhooks: 32 connections that stay open send new, signed announcements. How many a second are in
  the ledger when they are answered? None may be missing.
* A ledger of a million jobs: how long do list, job, stats and metrics take, one after another?

With ``--check`` a figure that misses its aim ends the program with status 1.
"""
# ruff: noqa: S608  # the statements are made of nothing but what stands here

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from sqlalchemy import text

from photopipe_dagster.ledger import Ledger
from photopipe_dagster.threejms.webhook import sign
from photopipe_dagster_tests.postgres import new_database, running_postgres

CONNECTIONS = 32
AIM_PER_SECOND = 1000
AIM_MS = 50.0
DASHBOARD_AIM_MS = 300.0
PORT = 4567
SECRET = "webhook-secret-of-a-benchmark"  # noqa: S105
STATUSES = ("NEW", "QUEUED", "SEGMENTING", "BG_GENERATING", "COMPOSITING", "FAILED", "DONE")
THEMES = ("default", "kitchen", "outdoors", "minimal", "luxury")


def main() -> int:
    """Measure; returns how many aims were missed, or 0 without ``--check``."""
    options = _options()
    missed = 0
    with (
        running_postgres() as server,
        new_database(server) as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        for name, database in (("SQLite", f"sqlite:///{folder}/ledger.db"), ("Postgres", url)):
            missed += _measure(name, database, Path(folder), options)
    return missed if options.check else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--webhooks", type=int, default=20_000)
    parser.add_argument("--requests", type=int, default=300, help="of each kind")
    parser.add_argument("--check", action="store_true")
    return parser.parse_args()


def _measure(name: str, database: str, folder: Path, options: argparse.Namespace) -> int:
    missed = 0
    ledger = Ledger(database)
    ledger.database.migrate()
    with _running_api(database, folder):
        before = ledger.jobs.stats().total
        rate, p95 = asyncio.run(_flood(options.webhooks))
        lost = before + options.webhooks - ledger.jobs.stats().total
        print(
            f"{name}: {options.webhooks} webhooks over {CONNECTIONS} connections: "
            f"{rate:,.0f} a second, p95 {p95:.0f} ms, {lost} lost"
        )
        missed += rate < AIM_PER_SECOND or lost != 0
    started = time.perf_counter()
    _fill(ledger, options.jobs)
    print(f"{name}: {options.jobs:,} jobs made in {time.perf_counter() - started:.0f} s")
    with _running_api(database, folder) as api:
        for kind, urls in _questions(ledger, options).items():
            millis = sorted(_timed(api, url) for url in urls)
            p95 = millis[int(len(millis) * 0.95)]
            aim = DASHBOARD_AIM_MS if kind == "dashboard" else AIM_MS
            late = p95 > aim and not kind.endswith("(deep)")
            print(
                f"{name}: {kind:18} median {statistics.median(millis):6.1f} ms   "
                f"p95 {p95:6.1f} ms   {'MISSED' if late else ''}"
            )
            missed += late
    ledger.close()
    return missed


@contextmanager
def _running_api(database: str, folder: Path) -> Iterator[httpx.Client]:
    variables = {
        **os.environ,
        "DATABASE_URL": database,
        "DATA_DIR": str(folder / "data"),
        "PORT": str(PORT),
        "THREEJMS_WEBHOOK_SECRET": SECRET,
        "API_RATE_LIMIT_PER_MINUTE": "0",
        "LOG_LEVEL": "warning",
        "DAGSTER_HOME": "",
    }
    command = [sys.executable, "-m", "photopipe_dagster", "api"]
    server = subprocess.Popen(command, env=variables, cwd=folder)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=60) as client:
            deadline = time.monotonic() + 60
            while True:
                try:
                    client.get("/health/live").raise_for_status()
                    break
                except httpx.TransportError:
                    if server.poll() is not None or time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)
            yield client
    finally:
        server.terminate()
        server.wait(30)


async def _flood(count: int) -> tuple[float, float]:
    """Send webhooks; returns how many a second were answered, and the 95th percentile in ms."""
    requests = [_webhook(number) for number in range(count)]
    millis: list[float] = []

    async def send(mine: list[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
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
    seconds = time.perf_counter() - started
    millis.sort()
    return count / seconds, millis[int(len(millis) * 0.95)]


def _webhook(number: int) -> bytes:
    digest = hashlib.sha256(f"photo {number}".encode()).hexdigest()
    body = (
        f'{{"event": "image.created", "sku": "SKU-{number % 5000}", "sha256": "{digest}", '
        f'"imageUrl": "https://photos.example/{digest}.jpg", "takenAt": "2026-11-01T12:00:00Z"}}'
    ).encode()
    return (
        b"POST /api/webhooks/3jms/images HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: application/json\r\n"
        + f"X-3JMS-Signature: {sign(SECRET.encode(), body)}\r\n".encode()
        + f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )


def _fill(ledger: Ledger, count: int) -> None:
    """Jobs of a year, with a paid call and a step each; most are DONE, a few under way."""
    postgres = ledger.database.engine.dialect.name == "postgresql"
    with ledger.database.write() as connection:
        for statement in (_JOBS_POSTGRES if postgres else _JOBS_SQLITE, _SPENDING, _STEPS):
            connection.execute(text(statement), {"count": count} if "count" in statement else {})
    ledger.counts.fold()
    if postgres:
        with ledger.database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(text("VACUUM ANALYZE"))


_COLUMNS = (
    "INSERT INTO jobs (id, sku, sha256, theme, partition_key, status, source, created_at, "
    "updated_at, queued_at, completed_at, segmentation_cost, background_cost, retry_count, variant)"
)
_SHARED = """
    CASE n % 5 WHEN 0 THEN 'default' WHEN 1 THEN 'kitchen' WHEN 2 THEN 'outdoors'
        WHEN 3 THEN 'minimal' ELSE 'luxury' END,
    'p' || n,
    CASE WHEN n % 50 = 0 THEN 'FAILED' WHEN n % 1000 = 1 THEN 'NEW' WHEN n % 1000 = 2 THEN 'QUEUED'
        WHEN n % 1000 = 3 THEN 'SEGMENTING' WHEN n % 1000 = 4 THEN 'COMPOSITING'
        ELSE 'DONE' END,
    'webhook'
"""
_AT_SQLITE = """strftime('%Y-%m-%d %H:%M:%f', '2026-11-23', '-' || (n % 365) || ' days',
    '-' || (n / 1000.0) || ' seconds') || '000'"""
_AT_POSTGRES = (
    "timestamp '2026-11-23' - (n % 365) * interval '1 day' - n * interval '1 millisecond'"
)
_JOBS_SQLITE = f"""
    {_COLUMNS}
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)
    SELECT 'j' || substr('000000000000000' || n, -15), 'SKU-' || (n % 200000),
        substr('000000000000000000000000' || n, -24), {_SHARED},
        {_AT_SQLITE}, {_AT_SQLITE}, {_AT_SQLITE}, {_AT_SQLITE}, 20000, 50000, 0, 1
    FROM numbers
"""
_JOBS_POSTGRES = f"""
    {_COLUMNS}
    SELECT 'j' || lpad(CAST(n AS text), 15, '0'), 'SKU-' || (n % 200000),
        lpad(CAST(n AS text), 24, '0'), {_SHARED},
        {_AT_POSTGRES}, {_AT_POSTGRES}, {_AT_POSTGRES}, {_AT_POSTGRES}, 20000, 50000, 0, 1
    FROM generate_series(1, :count) AS n
"""
_SPENDING = """
    INSERT INTO spending (purchase_key, job_id, sku, theme, stage, provider, state, amount, owner,
        discarded, created_at, updated_at)
    SELECT id, id, sku, theme, 'mask', 'freepik', 'charged', 20000, 'benchmark', false, created_at,
        created_at
    FROM jobs ORDER BY created_at
"""
_STEPS = """
    INSERT INTO steps (job_id, stage, run_id, ended_at, seconds, reused, cost)
    SELECT id, 'mask', 'r', created_at, 2.5, false, 20000 FROM jobs ORDER BY created_at
"""


def _questions(ledger: Ledger, options: argparse.Namespace) -> dict[str, list[str]]:
    """URLs by kind: what people and programs ask for, in random order."""
    dice = random.Random(1)
    ids = [f"j{dice.randint(1, options.jobs):015d}" for _ in range(options.requests)]
    lists = []
    for _ in range(options.requests):
        query = {"limit": dice.choice((50, 100)), "offset": 50 * dice.randint(0, 200)}
        query |= dice.choice(
            (
                {},
                {"status": dice.choice(STATUSES)},
                {"theme": dice.choice(THEMES)},
                {"theme": dice.choice(THEMES), "status": "DONE"},
                {"sku": f"SKU-{dice.randint(0, 199_999)}", "offset": 0},
            )
        )
        lists.append(str(httpx.URL("/api/jobs", params=query)))
    deep = [f"/api/jobs?offset={dice.randint(0, options.jobs - 100)}" for _ in range(50)]
    return {
        "job": [f"/api/jobs/{job_id}" for job_id in ids],
        "list": lists,
        "list (deep)": deep,
        "stats": ["/api/jobs/stats"] * options.requests,
        "metrics": ["/metrics"] * options.requests,
        "dashboard": ["/"] * 20,
    }


def _timed(api: httpx.Client, url: str) -> float:
    started = time.perf_counter()
    response = api.get(url)
    seconds = time.perf_counter() - started
    assert response.status_code == 200, (url, response.text[:500])
    return seconds * 1000


if __name__ == "__main__":
    raise SystemExit(main())
