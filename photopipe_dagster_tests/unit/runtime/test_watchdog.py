"""A photo is in one process at a time, whatever hangs there."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from photopipe_dagster.core.photo import STAGES, PhotoKey, Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.pipeline.photo import PhotoContext, StageResult
from photopipe_dagster.pipeline.runner import Pipeline, StageDone, StageFunction
from photopipe_dagster_tests.support.ledgers import new_ledger
from photopipe_dagster_tests.support.processes import start
from photopipe_dagster_tests.support.results import THEMES, cache, result

LEASE_SECONDS = 6

KEY = PhotoKey("SKU-1", f"{1:064x}", "default")


def pipeline(
    ledger: Ledger, owner: str, stage: Callable[[PhotoKey, Stage], None], *, ends_process: bool
) -> list[type]:
    """The events of a run whose stages make nothing."""

    @asynccontextmanager
    async def services() -> AsyncIterator[Any]:
        settings = SimpleNamespace(photos_in_flight=8, job_lease_seconds=LEASE_SECONDS)
        yield SimpleNamespace(
            ledger=ledger,
            settings=settings,
            target=None,
            canary=None,
            store=None,
            cache=cache(),
            themes=THEMES,
        )

    def function(which: Stage) -> StageFunction:
        async def run(work: PhotoContext, *_: object) -> StageResult[Any]:
            await asyncio.to_thread(stage, work.key, which)
            return result(work.key, which)

        return run

    run = Pipeline(
        services,
        {each: function(each) for each in STAGES},
        owner=owner,
        run_id=f"run of {owner}",
        ends_process=ends_process,
    )
    return [type(event) for event in run.run([KEY], STAGES)]


def hang(url: str, folder: Path, how: str) -> None:
    """A run whose cut-out hangs."""

    def stage(_: PhotoKey, which: Stage) -> None:
        if which is not Stage.MASK:
            return
        (folder / "hangs").touch()
        if how == "keeps the lock":
            ctypes.PyDLL(None).sleep(3600)  # a call that never lets other threads run
        while not (folder / "go on").exists():
            time.sleep(0.05)
        (folder / "went on").touch()

    pipeline(Ledger(url, lease_seconds=LEASE_SECONDS), "old", stage, ends_process=True)


@contextmanager
def old_run(url: str, folder: Path, how: str) -> Iterator[ForkServerProcess]:
    """The process of a run that hangs at its cut-out."""
    process = start(folder / "log", hang, url, folder, how)
    try:
        deadline = time.monotonic() + 120
        while not (folder / "hangs").exists():
            assert process.is_alive(), (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.join()


def taken_up(ledger: Ledger, old: ForkServerProcess) -> tuple[list[type], list[bool]]:
    """The events of a run that takes the same photo up, and whether the old process was there."""
    beside: list[bool] = []
    events = pipeline(ledger, "new", lambda *_: beside.append(_works(old)), ends_process=False)
    return events, beside


GOOD = ([StageDone] * len(STAGES), [False] * len(STAGES))


def _works(process: ForkServerProcess) -> bool:
    """Whether a process is there and not stopped."""
    if not process.is_alive():
        return False
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state not in "TtZ"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """A ledger in a file: what it is asked for leases is tested in both databases."""
    return f"sqlite:///{new_ledger(tmp_path)}"


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    ledger = Ledger(database_url, lease_seconds=LEASE_SECONDS)
    ledger.intake.submit(KEY, "webhook")
    yield ledger
    ledger.close()


def test_a_process_that_hangs_has_ended_when_another_run_takes_its_photo_up(
    ledger: Ledger, database_url: str, tmp_path: Path
):
    with old_run(database_url, tmp_path, "keeps the lock") as old:
        assert taken_up(ledger, old) == GOOD
        old.join(60)
        assert old.exitcode == 1
        log = (tmp_path / "log").read_text()
        assert "in hang" in log, "where it hung is told"
    assert not (tmp_path / "went on").exists()
    assert ledger.jobs.require(KEY.job_id).status is JobStatus.DONE


def test_a_process_that_was_stopped_ends_when_it_goes_on(
    ledger: Ledger, database_url: str, tmp_path: Path
):
    with old_run(database_url, tmp_path, "is stopped") as old:
        os.kill(old.pid, signal.SIGSTOP)
        assert taken_up(ledger, old) == GOOD
        os.kill(old.pid, signal.SIGCONT)
        old.join(60)
        assert old.exitcode == 1
    assert not (tmp_path / "went on").exists()
    job = ledger.jobs.require(KEY.job_id)
    assert (job.status, job.run_id) == (JobStatus.DONE, "run of new")


def test_a_process_that_works_is_left_alone(ledger: Ledger, database_url: str, tmp_path: Path):
    """Its photo waits in a thread for longer than a lease runs: another run waits for it."""
    with old_run(database_url, tmp_path, "is stopped") as old:
        time.sleep(2 * LEASE_SECONDS)
        assert ledger.leases.take([f"job:{KEY.job_id}"], "another") == frozenset()
        (tmp_path / "go on").touch()
        old.join(60)
        assert old.exitcode == 0, (tmp_path / "log").read_text()
    assert ledger.jobs.require(KEY.job_id).status is JobStatus.DONE
