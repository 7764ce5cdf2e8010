"""A photo is in one process at a time, whatever hangs there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from photopipe_dagster.core.photo import STAGES, PhotoKey
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.pipeline.runner import Pipeline, StageDone
from photopipe_dagster_tests.support.results import cache, result

LEASE_SECONDS = 6

KEY = PhotoKey("SKU-1", f"{1:064x}", "default")

RUN = textwrap.dedent(
    """
    import asyncio, ctypes, sys, time
    from contextlib import asynccontextmanager
    from pathlib import Path
    from types import SimpleNamespace
    from photopipe_dagster.core.photo import STAGES, PhotoKey, Stage
    from photopipe_dagster.ledger import Ledger
    from photopipe_dagster.pipeline.runner import Pipeline
    from photopipe_dagster_tests.support.results import cache, result

    url, folder, how = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    ledger = Ledger(url, lease_seconds=6)

    @asynccontextmanager
    async def services():
        settings = SimpleNamespace(photos_in_flight=8, job_lease_seconds=6)
        yield SimpleNamespace(ledger=ledger, settings=settings, target=None, canary=None,
                              store=None, cache=cache())

    def hang():
        (folder / "hangs").touch()
        if how == "keeps the lock":
            ctypes.PyDLL(None).sleep(3600)  # a call that never lets other threads run
        while how == "is stopped" and not (folder / "go on").exists():
            time.sleep(0.05)
        (folder / "went on").touch()

    def stage(which):
        async def run(work, *inputs):
            if which is Stage.MASK:
                await asyncio.to_thread(hang)
            return result(work.key, which)
        return run

    pipeline = Pipeline(services, {each: stage(each) for each in STAGES}, owner="old",
                        run_id="run of old", ends_process=True)
    for event in pipeline.run([PhotoKey("SKU-1", f"{1:064x}", "default")], STAGES):
        print(type(event).__name__, flush=True)
    """
)


@contextmanager
def old_run(url: str, folder: Path, how: str) -> Iterator[subprocess.Popen[bytes]]:
    """The process of a run that hangs at its cut-out."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, url, str(folder), how], stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 120
        while not (folder / "hangs").exists():
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


class NewRun:
    """A run that takes the same photo up, and tells whether the old process was still there."""

    def __init__(self, ledger: Ledger, old: subprocess.Popen[bytes]) -> None:
        self._ledger = ledger
        self._old = old
        self.beside: list[bool] = []

    def take_up(self) -> list[type]:
        @asynccontextmanager
        async def services():  # type: ignore[no-untyped-def]
            settings = SimpleNamespace(photos_in_flight=8, job_lease_seconds=LEASE_SECONDS)
            yield SimpleNamespace(
                ledger=self._ledger,
                settings=settings,
                target=None,
                canary=None,
                store=None,
                cache=cache(),
            )

        def stage(which):  # type: ignore[no-untyped-def]
            async def run(work, *inputs):  # type: ignore[no-untyped-def]
                self.beside.append(_works(self._old))
                return result(work.key, which)

            return run

        functions = {each: stage(each) for each in STAGES}
        pipeline = Pipeline(services, functions, owner="new", run_id="run of new")
        return [type(event) for event in pipeline.run([KEY], STAGES)]


def _works(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process is there and not stopped."""
    if process.poll() is not None:
        return False
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state not in "TtZ"


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    ledger = Ledger(database_url, lease_seconds=LEASE_SECONDS)
    ledger.database.migrate()
    ledger.intake.submit(KEY, "webhook")
    yield ledger
    ledger.close()


def test_a_process_that_hangs_has_ended_when_another_run_takes_its_photo_up(
    ledger: Ledger, database_url: str, tmp_path: Path
):
    with old_run(database_url, tmp_path, "keeps the lock") as old:
        new = NewRun(ledger, old)
        assert new.take_up() == [StageDone] * len(STAGES)
        assert new.beside == [False] * len(STAGES)
        assert old.wait(60) == 1
        log = (tmp_path / "log").read_text()
        assert "in hang" in log, "where it hung is told"
    assert not (tmp_path / "went on").exists()
    assert ledger.jobs.require(KEY.job_id).status is JobStatus.DONE


def test_a_process_that_was_stopped_ends_when_it_goes_on(
    ledger: Ledger, database_url: str, tmp_path: Path
):
    with old_run(database_url, tmp_path, "is stopped") as old:
        os.kill(old.pid, signal.SIGSTOP)
        new = NewRun(ledger, old)
        assert new.take_up() == [StageDone] * len(STAGES)
        assert new.beside == [False] * len(STAGES)
        os.kill(old.pid, signal.SIGCONT)
        assert old.wait(60) == 1
    assert not (tmp_path / "went on").exists()
    job = ledger.jobs.require(KEY.job_id)
    assert (job.status, job.run_id) == (JobStatus.DONE, "run of new")


def test_a_process_that_works_is_left_alone(ledger: Ledger, database_url: str, tmp_path: Path):
    """Its photo waits in a thread for longer than a lease runs: another run waits for it."""
    with old_run(database_url, tmp_path, "is stopped") as old:
        time.sleep(2 * LEASE_SECONDS)
        assert ledger.leases.take([f"job:{KEY.job_id}"], "another") == frozenset()
        (tmp_path / "go on").touch()
        assert old.wait(60) == 0, (tmp_path / "log").read_text()
    assert ledger.jobs.require(KEY.job_id).status is JobStatus.DONE
