"""The production instance for real: Postgres, Redis, Dagster's daemon and two Celery workers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL

from photopipe_dagster.ledger.jobs.statuses import WORKING, JobStatus
from photopipe_dagster.ledger.money.spending import SpendState
from photopipe_dagster_tests.support.postgres import new_database
from photopipe_dagster_tests.support.redis import running_redis
from photopipe_dagster_tests.support.world import World, photo_of_a_mug, world

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"

PHOTOS = 40

PATIENCE_SECONDS = 300
"""How long the test waits for the fleet; only a fleet that hangs takes it."""


def test_a_worker_that_is_killed_half_way_costs_nothing_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_server: URL
):
    with ExitStack() as stack:
        ledger_url = stack.enter_context(new_database(postgres_server))
        dagster_url = stack.enter_context(new_database(postgres_server))
        redis_url = stack.enter_context(running_redis())
        home = tmp_path / "dagster"
        home.mkdir()
        shutil.copy(DEPLOY / "dagster" / "dagster.yaml", home)
        shop = stack.enter_context(
            world(
                tmp_path,
                monkeypatch,
                DATABASE_URL=ledger_url,
                DAGSTER_HOME=str(home),
                DAGSTER_POSTGRES_URL=dagster_url,
                CELERY_BROKER_URL=f"{redis_url}/0",
                CELERY_RESULT_BACKEND=f"{redis_url}/1",
                PYTHONPATH=str(DEPLOY / "celery"),
                JOB_LEASE_SECONDS="10",
                PHOTOS_PER_RUN="10",
                THREEJMS_API_URL="",
            )
        )
        logs = tmp_path / "logs"
        logs.mkdir()
        workers = [stack.enter_context(_running(logs, name, *_worker(name))) for name in "ab"]
        module = "--module-name=photopipe_dagster.definitions"
        stack.enter_context(_running(logs, "daemon", "dagster._daemon", "run", module))
        skus = [f"MUG-{number}" for number in range(PHOTOS)]
        shop.stock(*skus)
        for number, sku in enumerate(skus):
            shop.announce(sku, photo_of_a_mug(number))

        _until(lambda: _count(shop, *WORKING) > 0, logs, "a worker takes photos up")
        os.killpg(workers[0].pid, signal.SIGKILL)
        workers[0].wait()
        _until(lambda: _count(shop, JobStatus.DONE) == PHOTOS, logs, "all photos are done")

        rows = shop.ledger.spending.by("state")
        unknown = sum(row["attempts"] for row in rows if row["state"] == SpendState.UNKNOWN)
        charged = sum(row["attempts"] for row in rows if row["state"] == SpendState.CHARGED)
        assert charged == 2 * PHOTOS, rows
        assert charged <= len(shop.charges()) <= charged + unknown
        assert shop.media() == PHOTOS


def _worker(name: str) -> tuple[str, ...]:
    return (
        "celery",
        "--app=dagster_celery.app",
        "worker",
        "--queues=dagster",
        "--concurrency=1",
        f"--hostname={name}@localhost",
        "--loglevel=warning",
    )


@contextmanager
def _running(logs: Path, name: str, *module: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python module as a process group, told to stop at the end."""
    with (logs / name).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *module], stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _count(shop: World, *statuses: JobStatus) -> int:
    by_status = shop.ledger.jobs.stats().by_status
    return sum(by_status[status] for status in statuses)


def _until(happened: Callable[[], bool], logs: Path, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        if time.monotonic() > deadline:
            tails = "\n".join(f"{log.name}:\n{log.read_text()[-3000:]}" for log in logs.iterdir())
            raise AssertionError(f"Waited {PATIENCE_SECONDS} s until {what}.\n{tails}")
        time.sleep(0.2)
