"""The pipeline around stages of a few lines: neighbours, leases, statuses, interruption."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from photopipe_dagster.core.errors import (
    ConfigurationError,
    ErrorCode,
    InvalidTransitionError,
    JobError,
)
from photopipe_dagster.core.photo import STAGES, PhotoKey, Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.leases import job_lease
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.pipeline.photo import PhotoContext, StageResult
from photopipe_dagster.pipeline.runner import PhotoFailed, Pipeline, StageDone
from photopipe_dagster_tests.support.results import THEMES, cache, result


def key(number: int, theme: str = "default") -> PhotoKey:
    return PhotoKey(f"SKU-{number}", f"{number:064x}", theme)


class Shop:
    """A ledger, and stages that do what a test tells them."""

    def __init__(self, folder: Path) -> None:
        self.offset = timedelta(0)
        self.ledger = Ledger(
            f"sqlite:///{folder}/ledger.db",
            max_retries=3,
            retry_delay_seconds=0,
            lease_seconds=30,
            clock=lambda: datetime.now(UTC) + self.offset,
        )
        self.ledger.database.migrate()
        self.seen: list[tuple[str, Stage]] = []
        self.act: Callable[[PhotoContext, Stage], Any] = lambda work, stage: None
        self.settings = SimpleNamespace(photos_in_flight=8, job_lease_seconds=30)

    @asynccontextmanager
    async def services(self) -> AsyncIterator[Any]:
        yield SimpleNamespace(
            ledger=self.ledger,
            settings=self.settings,
            target=None,
            canary=None,
            store=None,
            cache=cache(),
            themes=THEMES,
        )

    def stage(self, stage: Stage):
        async def run(work: PhotoContext, *inputs: object) -> StageResult[Any]:
            self.seen.append((work.key.sku, stage))
            acted = self.act(work, stage)
            if asyncio.iscoroutine(acted):
                await acted
            return result(work.key, stage)

        return run

    def pipeline(self, owner: str = "me") -> Pipeline:
        functions = {stage: self.stage(stage) for stage in STAGES}
        return Pipeline(self.services, functions, owner=owner, run_id=f"run of {owner}")

    def statuses(self) -> list[JobStatus]:
        return [job.status for job in self.ledger.jobs.find(JobQuery(), limit=99)]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_photos_go_through_all_stages_in_order(shop: Shop):
    events = list(shop.pipeline().run([key(1), key(2)], STAGES))
    assert len(events) == 10
    for number in (1, 2):
        stages = [event.stage for event in events if event.key == key(number)]
        assert stages == list(STAGES)
    job = shop.ledger.jobs.require(key(1).job_id)
    assert (job.status, job.media_id) == (JobStatus.DONE, "m")
    assert job.object_keys[Stage.COMPOSITE] == key(1).object_key(Stage.COMPOSITE)
    assert shop.ledger.leases.take([job_lease(job.id)], "another")


def test_statuses_follow_the_stages(shop: Shop):
    during = {}
    shop.act = lambda work, stage: during.setdefault(
        stage, shop.ledger.jobs.require(work.job.id).status
    )
    list(shop.pipeline().run([key(1)], STAGES))
    assert list(during.values()) == [
        JobStatus.QUEUED,
        JobStatus.SEGMENTING,
        JobStatus.BG_GENERATING,
        JobStatus.COMPOSITING,
        JobStatus.SHOPIFY_PUSH,
    ]


@pytest.mark.parametrize(
    ("error", "code", "retried"),
    [
        (JobError("no", code=ErrorCode.SHOPIFY_ERROR), ErrorCode.SHOPIFY_ERROR, False),
        (JobError("later", retryable=True), ErrorCode.UNKNOWN_ERROR, True),
        (ConfigurationError("set X"), ErrorCode.UNKNOWN_ERROR, False),
        (ZeroDivisionError("secret details"), ErrorCode.UNKNOWN_ERROR, True),
    ],
)
def test_one_failure_never_stops_the_neighbours(shop: Shop, error, code, retried):
    def act(work: PhotoContext, stage: Stage) -> None:
        if work.key == key(2) and stage is Stage.BACKGROUND:
            raise error

    shop.act = act
    events = list(shop.pipeline().run([key(n) for n in range(4)], STAGES))
    (failed,) = [event for event in events if isinstance(event, PhotoFailed)]
    assert (failed.key, failed.stage, failed.will_retry) == (key(2), Stage.BACKGROUND, retried)
    assert sum(isinstance(event, StageDone) for event in events) == 3 * 5 + 2
    job = shop.ledger.jobs.require(key(2).job_id)
    assert (job.status, job.error_code) == (JobStatus.FAILED, code)
    assert "secret details" not in job.error_message
    assert shop.statuses().count(JobStatus.DONE) == 3


def test_a_caller_that_stops_early_hands_unfinished_photos_back(shop: Shop):
    under_way = asyncio.Event()

    async def act(work: PhotoContext, stage: Stage) -> None:
        if work.key == key(1):
            await under_way.wait()
        elif stage is Stage.MASK:
            under_way.set()
            await asyncio.sleep(60)

    shop.act = act
    events = shop.pipeline().run([key(1), key(2)], STAGES)
    for event in events:
        if event.key == key(1) and event.stage is Stage.SHOPIFY_MEDIA:
            break
    events.close()
    assert shop.ledger.jobs.require(key(1).job_id).status is JobStatus.DONE
    job = shop.ledger.jobs.require(key(2).job_id)
    assert (job.status, job.run_id) == (JobStatus.SEGMENTING, None)
    (dispatch,) = shop.ledger.dispatches.take(photos_per_dispatch=9, limit=9)
    assert dispatch.keys == (key(2),)
    assert shop.ledger.leases.take([job_lease(job.id)], "another")


def test_two_runs_never_work_on_one_photo_at_once(shop: Shop):
    working: set[str] = set()

    async def alone(work: PhotoContext) -> None:
        assert work.job.id not in working
        working.add(work.job.id)
        await asyncio.sleep(0.01)
        working.remove(work.job.id)

    shop.act = lambda work, stage: alone(work)
    keys = [key(n) for n in range(5)]
    failures: list[object] = []

    def run(owner: str) -> None:
        events = shop.pipeline(owner).run(keys, STAGES)
        failures.extend(event for event in events if isinstance(event, PhotoFailed))

    threads = [threading.Thread(target=run, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert shop.statuses() == [JobStatus.DONE] * 5
    assert len(shop.seen) == 2 * 5 * 5


def test_no_more_photos_are_in_flight_than_asked_for(shop: Shop):
    flying = 0
    most = 0

    async def fly() -> None:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0.001)
        flying -= 1

    shop.act = lambda work, stage: fly()
    list(shop.pipeline().run([key(n) for n in range(30)], STAGES))
    assert 2 <= most <= 8


def test_the_work_on_a_photo_whose_claim_was_lost_stops(shop: Shop):
    shop.settings.job_lease_seconds = 0.3

    def act(work: PhotoContext, stage: Stage) -> Any:
        # This process stood still for longer than the lease, and another took the photo over.
        if work.key != key(1):
            return None
        shop.offset += timedelta(seconds=60)
        shop.ledger.leases.take([job_lease(work.job.id)], "another")
        shop.ledger.transitions.begin(work.key, "run of another", again=True)
        return asyncio.sleep(60)

    shop.act = act
    events = list(shop.pipeline().run([key(1), key(2)], STAGES))
    assert [event.key for event in events] == [key(2)] * 5
    assert shop.seen.count((key(1).sku, Stage.ORIGINAL)) == 1
    # It is the other run's now: not failed, and not handed out again.
    assert shop.ledger.jobs.require(key(1).job_id).run_id == "run of another"


def test_a_run_that_lost_a_photo_does_not_fail_it_in_the_hands_of_another(shop: Shop):
    def act(work: PhotoContext, stage: Stage) -> None:
        # The process stood still; it goes on before its heart has beaten, and the stage fails.
        shop.offset += timedelta(seconds=60)
        shop.ledger.leases.take([job_lease(work.job.id)], "another")
        shop.ledger.transitions.begin(work.key, "run of another", again=True)
        raise JobError("The connection was closed.")

    shop.act = act
    assert list(shop.pipeline().run([key(1)], STAGES)) == []
    job = shop.ledger.jobs.require(key(1).job_id)
    assert (job.status, job.run_id, job.error_message) == (JobStatus.QUEUED, "run of another", None)


@pytest.mark.parametrize("ends_well", [True, False])
def test_a_run_that_stood_still_leaves_the_retry_that_it_was_given(shop: Shop, ends_well: bool):
    def act(work: PhotoContext, stage: Stage) -> None:
        # The process stood still for longer than its lease; the dispatcher took it for dead.
        shop.offset += timedelta(seconds=60)
        died = JobError("The run that worked on this photo died.", retryable=True)
        shop.ledger.transitions.fail(work.job.id, died, run_id="run of me", in_progress=True)
        if not ends_well:
            raise JobError("The connection was closed.")

    shop.act = act
    assert list(shop.pipeline().run([key(1)], STAGES)) == []
    job = shop.ledger.jobs.require(key(1).job_id)
    assert (job.status, job.retry_at is not None) == (JobStatus.FAILED, True)
    assert job.error_message == "The run that worked on this photo died."
    shop.act = lambda work, stage: None
    list(shop.pipeline("another").run([key(1)], STAGES))
    assert shop.statuses() == [JobStatus.DONE]


def test_a_run_that_lost_a_photo_neither_advances_nor_holds_it(shop: Shop):
    list(shop.pipeline().run([key(1)], [Stage.ORIGINAL]))
    transitions, job_id = shop.ledger.transitions, key(1).job_id
    transitions.begin(key(1), "run of another", again=True)
    before = shop.ledger.jobs.require(job_id)
    with pytest.raises(InvalidTransitionError, match="of the run run of another, not run of me"):
        transitions.advance(job_id, JobStatus.SHOPIFY_PUSH, run_id="run of me")
    with pytest.raises(InvalidTransitionError):
        transitions.hold(job_id, ["look"], "d" * 64, run_id="run of me")
    assert shop.ledger.jobs.require(job_id) == before


def test_a_stage_that_is_made_again_by_itself_and_fails_says_so(shop: Shop):
    list(shop.pipeline().run([key(1)], STAGES))

    def act(work: PhotoContext, stage: Stage) -> None:
        if work.owner == "again":
            raise JobError("The provider broke.", retryable=False)

    shop.act = act
    (event,) = shop.pipeline("again").run([key(1)], [Stage.MASK])
    assert isinstance(event, PhotoFailed)
    assert shop.statuses() == [JobStatus.FAILED]


def test_services_that_cannot_be_opened_stop_the_run(shop: Shop):
    @asynccontextmanager
    async def broken() -> AsyncIterator[Any]:
        raise ConfigurationError("set FREEPIK_API_KEY")
        yield

    pipeline = Pipeline(broken, {}, owner="me", run_id="run")
    with pytest.raises(ConfigurationError, match="FREEPIK_API_KEY"):
        list(pipeline.run([key(1)], STAGES))


def test_who_waits_for_a_provider_leaves_its_hand_to_others(shop: Shop):
    shop.settings.photos_in_flight = 2
    waiting, working, most = set(), set(), {"waiting": 0, "working": 0}
    everybody = asyncio.Event()

    async def act(work: PhotoContext, stage: Stage) -> None:
        if stage is not Stage.BACKGROUND:
            working.add(work.key)
            most["working"] = max(most["working"], len(working))
            await asyncio.sleep(0)
            working.discard(work.key)
            return
        async with work.slot.released():
            waiting.add(work.key)
            most["waiting"] = max(most["waiting"], len(waiting))
            if len(waiting) == 6:
                everybody.set()
            await asyncio.wait_for(everybody.wait(), 10)

    shop.act = act
    list(shop.pipeline().run([key(number) for number in range(6)], STAGES))
    assert most["waiting"] == 6
    assert most["working"] <= 2
    assert shop.statuses() == [JobStatus.DONE] * 6


def test_one_that_fails_while_it_waits_takes_no_slot_with_it(shop: Shop):
    shop.settings.photos_in_flight = 1

    async def act(work: PhotoContext, stage: Stage) -> None:
        if stage is Stage.BACKGROUND:
            async with work.slot.released():
                await asyncio.sleep(0)
                if work.key == key(1):
                    raise JobError("no", code=ErrorCode.BACKGROUND_ERROR)

    shop.act = act
    events = list(shop.pipeline().run([key(1), key(2), key(3)], STAGES))
    assert [event.key for event in events if isinstance(event, PhotoFailed)] == [key(1)]
    assert sorted(shop.statuses()) == [JobStatus.DONE, JobStatus.DONE, JobStatus.FAILED]


def test_a_photo_goes_to_another_run_only_when_no_thread_works_on_it_any_more(shop: Shop):
    """The run is told to stop while a thread hangs, which nobody can stop."""
    hangs, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        go_on.wait()

    shop.act = lambda work, stage: asyncio.to_thread(hang) if stage is Stage.MASK else None
    events = shop.pipeline().run([key(1)], STAGES)
    assert next(events).stage is Stage.ORIGINAL
    assert hangs.wait(30)
    stopping = threading.Thread(target=events.close)
    stopping.start()
    lease = job_lease(key(1).job_id)
    stopping.join(1)
    assert stopping.is_alive()
    assert not shop.ledger.leases.take([lease], "another")
    go_on.set()
    stopping.join()
    assert shop.ledger.leases.take([lease], "another")
    assert shop.ledger.jobs.require(key(1).job_id).run_id is None


def test_leases_are_renewed_while_all_other_threads_hang(shop: Shop):
    shop.settings.job_lease_seconds = 1.5
    shop.ledger.leases._lease = timedelta(seconds=1.5)
    go_on = threading.Event()
    keys = [key(number) for number in range(40)]  # more than there are threads
    all_there = asyncio.Barrier(len(keys))

    async def hang() -> None:
        await all_there.wait()  # the originals need threads, too
        await asyncio.to_thread(go_on.wait)

    shop.act = lambda work, stage: hang() if stage is Stage.MASK else None
    shop.settings.photos_in_flight = len(keys)
    events = shop.pipeline().run(keys, STAGES)
    for _ in keys:
        assert next(events).stage is Stage.ORIGINAL
    threading.Event().wait(3)
    held = shop.ledger.leases.take([job_lease(each.job_id) for each in keys], "another")
    go_on.set()
    assert held == frozenset()
    assert sum(isinstance(event, StageDone) for event in events) == 4 * len(keys)
