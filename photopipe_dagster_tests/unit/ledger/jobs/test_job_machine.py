"""Jobs under any order of events: what people, runs, the sensor and the clock can do to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete

from photopipe_dagster.core.errors import (
    BudgetExceededError,
    ErrorCode,
    InvalidTransitionError,
    JobError,
)
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.leases import job_lease
from photopipe_dagster.ledger.jobs.model import Job, can_cancel
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import (
    AT_REST,
    DECIDED,
    PATH,
    WORKING,
    JobStatus,
    Review,
    allowed,
)
from photopipe_dagster.ledger.tables import metadata
from photopipe_dagster_tests.unit.ledger.conftest import Clock, photo

MAX_RETRIES = 2
LEASE = 30
UNDELIVERED_AFTER = 60
PHOTOS = [photo(number) for number in range(1, 4)]
IN_PROGRESS = (JobStatus.QUEUED, *WORKING)

DIED = JobError("the run died", retryable=True)
FAILURES = {
    "passing": JobError("later", code=ErrorCode.NETWORK_ERROR, retryable=True),
    "permanent": JobError("never", code=ErrorCode.VALIDATION_ERROR),
    "budget": BudgetExceededError("no money"),
}


@dataclass
class Run:
    """A run as Dagster would have it: queued, then at work on photos that it claimed, then over."""

    name: str
    dispatch: str | None
    keys: tuple[PhotoKey, ...]
    begun: bool = False
    ended: bool = False
    dead: bool = False
    working_on: list[PhotoKey] = field(default_factory=list)

    @property
    def lives(self) -> bool:
        return self.begun and not self.ended and not self.dead


class JobMachine(RuleBasedStateMachine):
    """The model: which runs there are, what each works on, and how often people asked."""

    ledger: Ledger
    clock: Clock

    def __init__(self) -> None:
        super().__init__()
        with self.ledger.database.write() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(delete(table))
        self.runs: list[Run] = []
        self.lost_dispatches: set[str] = set()
        self.known: set[PhotoKey] = set()
        self.asked: dict[PhotoKey, int] = {}
        self.before: dict[PhotoKey, Job] = {}

    # --- looking -------------------------------------------------------------------------

    def job(self, key: PhotoKey) -> Job:
        return self.ledger.jobs.require(key.job_id)

    def jobs(self) -> dict[PhotoKey, Job]:
        found = self.ledger.jobs.find(JobQuery(), limit=100)
        return {job.key: job for job in sorted(found, key=lambda job: job.key)}

    def held(self, review: Review | None = Review.WAITING) -> list[PhotoKey]:
        return [key for key, job in self.jobs().items() if job.review is review]

    def living(self) -> list[Run]:
        return [run for run in self.runs if run.lives]

    def working(self) -> list[tuple[Run, PhotoKey]]:
        return [(run, key) for run in self.living() for key in run.working_on]

    # --- photos come in, and people decide -------------------------------------------------

    @rule(key=st.sampled_from(PHOTOS))
    def submit(self, key: PhotoKey) -> None:
        made = self.ledger.intake.submit(key, "webhook")
        assert made.created == (key not in self.known)
        assert made.created <= (made.job.status is JobStatus.NEW)
        self.known.add(key)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.known)))
        status = self.job(key).status
        if status is JobStatus.FAILED:
            assert self.ledger.transitions.retry(key.job_id).retry_at == self.clock.now
            self.asked[key] = self.asked.get(key, 0) + 1
        elif status in DECIDED:
            assert self.ledger.transitions.retry(key.job_id).status is JobStatus.QUEUED
        else:
            with pytest.raises(InvalidTransitionError):
                self.ledger.transitions.retry(key.job_id)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.known)))
        before = self.job(key)
        if not can_cancel(before):
            with pytest.raises(InvalidTransitionError):
                self.ledger.transitions.cancel(key.job_id, by="ann")
            return
        assert allowed(before.status, JobStatus.CANCELLED)
        after = self.ledger.transitions.cancel(key.job_id, by="ann")
        assert (after.status, after.cancelled_by) == (JobStatus.CANCELLED, "ann")
        with pytest.raises(InvalidTransitionError):
            self.ledger.transitions.fail(key.job_id, DIED)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), decision=st.sampled_from(["approve", "reject", "another"]))
    def decide(self, data: st.DataObject, decision: str) -> None:
        key = data.draw(st.sampled_from(self.held() or sorted(self.known)))
        job, reviews = self.job(key), self.ledger.reviews
        waits = job.review is Review.WAITING
        possible = waits or (decision == "another" and job.status in AT_REST)
        act = {
            "approve": lambda: reviews.approve(job.id, by="ann"),
            "reject": lambda: reviews.reject(job.id, by="ann", reason="dull"),
            "another": lambda: reviews.another_background(job.id, by="ann"),
        }[decision]
        if not possible:
            with pytest.raises(InvalidTransitionError):
                act()
            return
        after = act()
        if decision == "reject":
            assert allowed(job.status, JobStatus.REJECTED)
            assert (after.status, after.retry_at) == (JobStatus.REJECTED, None)
        if decision == "another":
            assert (after.status, after.variant) == (JobStatus.QUEUED, job.variant + 1)
            self.asked[key] = 0

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def redo(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.known)))
        done = self.job(key).status is JobStatus.DONE
        assert self.ledger.transitions.redo(key.job_id) == done
        if done:
            self.asked[key] = 0

    # --- the sensor ----------------------------------------------------------------------

    @rule(delivered=st.booleans(), batch=st.integers(1, 3))
    def tick(self, delivered: bool, batch: int) -> None:
        self.look_after()
        due = {key for key, job in self.jobs().items() if self.is_due(job)}
        sent = self.ledger.dispatches.take(photos_per_dispatch=batch, limit=100)
        keys = [key for dispatch in sent for key in dispatch.keys]
        assert len(set(keys)) == len(keys), "a photo went out twice"
        assert set(keys) == due
        for dispatch in sent:
            assert {self.job(key).dispatch_id for key in dispatch.keys} == {dispatch.id}
            if delivered:
                self.runs.append(Run(f"run {len(self.runs)}", dispatch.id, dispatch.keys))
            else:
                self.lost_dispatches.add(dispatch.id)

    def is_due(self, job: Job) -> bool:
        match job.status:
            case JobStatus.NEW:
                return True
            case JobStatus.FAILED:
                return job.retry_at is not None and job.retry_at <= self.clock.now
            case JobStatus.DONE | JobStatus.CANCELLED | JobStatus.REJECTED:
                return False
        return job.run_id is None and job.dispatch_id is None and job.review is not Review.WAITING

    def look_after(self) -> None:
        """What every tick does first."""
        for job in self.ledger.dispatches.abandoned():
            assert not any(run.name == job.run_id for run in self.living())
            self.ledger.transitions.fail(job.id, DIED)
        for dispatch in self.ledger.dispatches.undelivered(UNDELIVERED_AFTER):
            runs = [run for run in self.runs if run.dispatch == dispatch.id]
            ids = [key.job_id for key in dispatch.keys]
            if not runs:
                assert dispatch.id in self.lost_dispatches
                self.ledger.transitions.requeue(ids, run_id=None)
            elif all(run.ended or run.dead for run in runs):
                for job_id in ids:
                    self.ledger.transitions.fail(job_id, DIED)

    # --- runs ----------------------------------------------------------------------------

    @precondition(lambda self: any(not run.begun for run in self.runs))
    @rule(data=st.data())
    def run_begins(self, data: st.DataObject) -> None:
        self.begin(data.draw(st.sampled_from([run for run in self.runs if not run.begun])))

    @rule(keys=st.lists(st.sampled_from(PHOTOS), min_size=1, max_size=2, unique=True))
    def materialized_by_hand(self, keys: list[PhotoKey]) -> None:
        run = Run(f"run {len(self.runs)}", None, tuple(keys))
        self.runs.append(run)
        self.begin(run)

    def begin(self, run: Run) -> None:
        run.begun = True
        names = [job_lease(key.job_id) for key in run.keys]
        taken = self.ledger.leases.take(names, run.name)
        for key in run.keys:
            elsewhere = [other for other in self.living() if key in other.working_on]
            if job_lease(key.job_id) not in taken:
                continue  # another run has it; a real one would wait
            assert not elsewhere, "two runs at work on one photo"
            self.known.add(key)
            stopped = self.ledger.jobs.get(key.job_id)
            if stopped and stopped.status is JobStatus.CANCELLED and stopped.dispatch_id:
                with pytest.raises(InvalidTransitionError):
                    self.ledger.transitions.begin(key, run.name, again=True)
                self.ledger.leases.release(run.name, [job_lease(key.job_id)])
                continue
            job = self.ledger.transitions.begin(key, run.name, again=True)
            assert job.status in IN_PROGRESS
            assert job.run_id == run.name
            run.working_on.append(key)
        if not run.working_on:
            run.ended = True

    @precondition(lambda self: self.working())
    @rule(data=st.data(), status=st.sampled_from(PATH[2:]))
    def stage_ends(self, data: st.DataObject, status: JobStatus) -> None:
        run, key = data.draw(st.sampled_from(self.working()))
        if self.job(key).status is JobStatus.FAILED:
            with pytest.raises(InvalidTransitionError):
                self.ledger.transitions.advance(key.job_id, status)
            return
        old = self.job(key).status
        self.ledger.transitions.advance(key.job_id, status)
        assert self.job(key).status is max(old, status, key=PATH.index)
        if self.job(key).status is JobStatus.DONE:
            self.let_go(run, key)

    @precondition(lambda self: self.working())
    @rule(data=st.data(), kind=st.sampled_from(sorted(FAILURES)))
    def photo_fails(self, data: st.DataObject, kind: str) -> None:
        self.fail(*data.draw(st.sampled_from(self.working())), kind)

    def fail(self, run: Run, key: PhotoKey, kind: str) -> None:
        before = self.job(key)
        after = self.ledger.transitions.fail(key.job_id, FAILURES[kind])
        again = kind == "budget" or (kind == "passing" and before.retry_count < MAX_RETRIES)
        assert (after.status, after.retry_at is not None) == (JobStatus.FAILED, again)
        assert after.error_code is FAILURES[kind].code
        self.let_go(run, key)

    @precondition(lambda self: self.working())
    @rule(data=st.data())
    def picture_is_held(self, data: st.DataObject) -> None:
        run, key = data.draw(st.sampled_from(self.working()))
        self.ledger.transitions.advance(key.job_id, JobStatus.SHOPIFY_PUSH)
        self.ledger.transitions.hold(key.job_id, ["a person looks"], "d" * 64)
        self.ledger.transitions.requeue([key.job_id], run.name)
        self.let_go(run, key)

    @precondition(lambda self: self.living())
    @rule(data=st.data(), politely=st.booleans())
    def run_stops(self, data: st.DataObject, politely: bool) -> None:
        run = data.draw(st.sampled_from(self.living()))
        if politely:
            self.ledger.transitions.requeue([key.job_id for key in run.keys], run.name)
            self.ledger.leases.release(run.name)
            run.ended = True
        else:
            run.dead = True
        run.working_on.clear()

    def let_go(self, run: Run, key: PhotoKey) -> None:
        self.ledger.leases.release(run.name, [job_lease(key.job_id)])
        run.working_on.remove(key)
        run.ended = not run.working_on

    @rule(kind=st.sampled_from([*FAILURES, "none"]), turns=st.integers(1, MAX_RETRIES + 2))
    def everything_takes_its_turns(self, kind: str, turns: int) -> None:
        for _ in range(turns):
            self.everything_takes_its_turn(kind)

    def everything_takes_its_turn(self, kind: str) -> None:
        """A tick, and runs that take all they can get to the same end."""
        self.time_passes(10_000)
        self.tick(delivered=True, batch=2)
        for run in [run for run in self.runs if not run.begun]:
            self.begin(run)
            for key in list(run.working_on):
                if kind == "none":
                    self.ledger.transitions.advance(key.job_id, JobStatus.DONE)
                    self.let_go(run, key)
                else:
                    self.fail(run, key, kind)

    @rule(seconds=st.sampled_from([1, LEASE + 1, UNDELIVERED_AFTER + 1, 1000]))
    def time_passes(self, seconds: int) -> None:
        self.clock.move(seconds)
        for run in self.living():
            names = [job_lease(key.job_id) for key in run.working_on]
            assert self.ledger.leases.take(names, run.name) == set(names)

    # --- what always holds ---------------------------------------------------------------

    @invariant()
    def the_ledger_is_in_order(self) -> None:
        now = self.jobs()
        assert now.keys() == self.known
        for key, job in now.items():
            self.check_step(self.before.get(key), job)
            failed = job.status is JobStatus.FAILED
            assert failed == (job.error_code is not None), "a failure has a code, nothing else has"
            assert failed or job.retry_at is None
            assert failed == (job.failed_at is not None), "what a person decides is no failure"
            assert (job.status is JobStatus.CANCELLED) == (job.cancelled_at is not None)
            assert (job.status in DECIDED) == (job.decision is not None)
            assert (job.status is JobStatus.DONE) == (job.completed_at is not None)
            assert job.retry_count <= MAX_RETRIES + self.asked.get(key, 0), "retries are bounded"
            if job.review is Review.WAITING:
                assert job.status is JobStatus.SHOPIFY_PUSH
        self.before = now

    def check_step(self, before: Job | None, job: Job) -> None:
        """Only allowed steps; a person's wish for another background begins again from any."""
        old = JobStatus.NEW if before is None else before.status
        again = before is not None and before.variant < job.variant
        assert again or job.status in _reachable(old), f"{old} to {job.status}"

    def teardown(self) -> None:
        """No job is lost: with runs that work, everything ends within a few ticks."""
        for run in self.living():
            run.dead = True
        self.finish()
        for key, job in self.jobs().items():
            assert (
                job.status is JobStatus.DONE
                or (job.status is JobStatus.FAILED and job.error_code and job.retry_at is None)
                or job.status in DECIDED
                or job.review is Review.WAITING
            ), f"{key} is lost: {job}"

    def finish(self) -> None:
        for _ in range(2 * MAX_RETRIES + 4):
            self.everything_takes_its_turn("none")


def _reachable(status: JobStatus) -> set[JobStatus]:
    """Where allowed steps lead from a status, itself included."""
    seen: set[JobStatus] = set()
    new = {status}
    while new:
        seen |= new
        new = {after for each in new for after in JobStatus if allowed(each, after)} - seen
    return seen


def test_no_order_of_events_loses_a_job_or_sends_it_out_twice(tmp_path: Path) -> None:
    clock = Clock()
    ledger = Ledger(
        f"sqlite:///{tmp_path}/ledger.db",
        max_retries=MAX_RETRIES,
        retry_delay_seconds=60,
        lease_seconds=LEASE,
        clock=clock,
    )
    ledger.database.migrate()

    class Machine(JobMachine):
        pass

    Machine.ledger, Machine.clock = ledger, clock
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=20, stateful_step_count=25, deadline=None)
    )
    ledger.close()
