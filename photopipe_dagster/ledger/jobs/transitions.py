"""What happens to jobs: runs take them up and bring them forward, they fail, and people decide."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, func, select, update

from photopipe_dagster.core.errors import InvalidTransitionError, JobError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.ledger.breakers import Breaker, Breakers
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.jobs import statuses
from photopipe_dagster.ledger.jobs.decisions import NO_EVIDENCE, Evidence, record_held
from photopipe_dagster.ledger.jobs.intake import Arrival, new_row
from photopipe_dagster.ledger.jobs.model import (
    CHANGED,
    EXTERNAL,
    KEY_COLUMNS,
    MAX_NAME_CHARACTERS,
    NO_ERROR,
    Job,
    can_cancel,
    can_retry,
    change,
    lock,
    locked,
    queued,
    queued_again,
    to_job,
)
from photopipe_dagster.ledger.jobs.statuses import DECIDED, RETRIABLE, WORKING, JobStatus, Review
from photopipe_dagster.ledger.jobs.steps import Step, record
from photopipe_dagster.ledger.tables import jobs, products
from photopipe_dagster.quality.results import CheckResult, as_record

ANY_RUN: Final = "*"
"""In the place of a run's id: whichever run has the job, if any."""


_STANDING: Final = (
    select(jobs.c.status, jobs.c.quality, jobs.c.review, jobs.c.run_id)
    .where(jobs.c.id == bindparam("of_job"))
    .with_for_update()
)


class Transitions:
    """Changes the jobs of the ledger.

    Args:
        database: Where they are.
        max_retries: Retries of a job at most.
        retry_delay_seconds: Wait before the first retry; doubles each time.
        breakers: Count the failures that blame a service.
    """

    def __init__(
        self, database: Database, max_retries: int, retry_delay_seconds: int, breakers: Breakers
    ) -> None:
        self._database = database
        self._breakers = breakers
        self._max_retries = max_retries
        self._retry_delay = retry_delay_seconds

    def begin(self, key: PhotoKey, run_id: str, *, again: bool) -> Job:
        """A run takes a photo up. Makes the job if there is none (materialized by hand).

        Args:
            again: Whether a job that is DONE goes back to QUEUED: the run will publish it again.

        Raises:
            InvalidTransitionError: It was cancelled on its way to a run.
        """
        with self._database.write() as connection:
            row = connection.execute(locked(key.job_id)).first()
            if row is None:
                row_of_new = new_row(Arrival(key, "dagster"), self._database.now())
                new = self._database.insert(jobs).values(row_of_new)
                connection.execute(new.on_conflict_do_nothing())
                row = connection.execute(locked(key.job_id)).one()
            job = to_job(row)
            if job.status is JobStatus.CANCELLED and job.dispatch_id is not None:
                raise InvalidTransitionError(f"Job {job.id} was cancelled: retry it to go on.")
            back = job.status in RETRIABLE or (again and job.status is JobStatus.DONE)
            if back or job.status is JobStatus.NEW:
                statuses.check(job.status, JobStatus.QUEUED)
                values = queued(self._database.now()) | {"run_id": run_id}
                if job.status is JobStatus.DONE:
                    values["retry_count"] = 0
            else:
                values = {"run_id": run_id, "updated_at": self._database.now()}
            return change(connection, job.id, values)

    def advance(
        self,
        job_id: str,
        status: JobStatus,
        *,
        run_id: str = ANY_RUN,
        stored: tuple[Stage, str] | None = None,
        published: tuple[str, str] | None = None,
        step: Step | None = None,
        checks: Sequence[CheckResult] = (),
        theme_revision: int | None = None,
    ) -> None:
        """Go forward to a status; it stays what it is if the job is there already or past it.

        Args:
            run_id: The run that works on it.
            stored: A stage that has ended, and the key of its picture.
            published: The shop's ids of the product and of the media.
            step: What the run did, for the timeline.
            checks: What was found in the stage's picture, instead of what was found before.
            theme_revision: Of the theme that a composite was made by; ``None`` keeps what is known.

        Raises:
            InvalidTransitionError: Another run has taken it up since, the job is FAILED, or a
                person stopped or rejected it.
        """
        now = self._database.now()
        with self._database.write() as connection:
            standing = connection.execute(_STANDING, {"of_job": job_id}).one()
            now_status, quality, review, taken_by = standing
            _require_run(job_id, taken_by, run_id)
            old = JobStatus(now_status)
            values: dict[str, object] = {"updated_at": now}
            if stored is not None:
                values[KEY_COLUMNS[stored[0]]] = stored[1]
            if published is not None:
                values["product_id"], values["media_id"] = published
            if theme_revision is not None:
                values["theme_revision"] = theme_revision
            if checks:
                values["quality"] = (quality or {}) | {checks[0].stage.value: as_record(checks)}
            taken = statuses.steps(old, status)
            if taken:
                values["status"] = status
            if JobStatus.QUEUED in taken:
                values["queued_at"] = now
            if JobStatus.SEGMENTING in taken:
                values["started_at"] = now
            if JobStatus.DONE in taken:
                values |= {"completed_at": now, "retry_at": None} | NO_ERROR
                if review == Review.WAITING:
                    values["review"] = None  # nobody has to look any more
            connection.execute(CHANGED, {"of_job": job_id, **values})
            if step is not None:
                record(connection, job_id, step, now)

    def hold(
        self,
        job_id: str,
        reasons: Sequence[str],
        digest: str,
        *,
        run_id: str = ANY_RUN,
        evidence: Evidence = NO_EVIDENCE,
    ) -> Job:
        """A person looks at the picture before it is published; until then the job rests.

        An approval of the same picture that has come in the meantime stands.

        Args:
            reasons: Why.
            digest: SHA-256 of the picture.
            run_id: The run that works on it.
            evidence: What is known of the picture beside what its checks measured.

        Raises:
            InvalidTransitionError: Another run has taken it up since, the job is FAILED, or a
                person stopped or rejected it.
        """
        with self._database.write() as connection:
            job = lock(connection, job_id)
            _require_run(job_id, job.run_id, run_id)
            if job.status in RETRIABLE:
                raise InvalidTransitionError(f"Job {job_id} is {job.status}, and not on its way.")
            if job.review is Review.APPROVED and job.review_digest == digest:
                return job
            values = {
                "review": Review.WAITING,
                "review_reasons": list(reasons),
                "review_digest": digest,
                "review_note": None,
                "reviewed_by": None,
                "reviewed_at": None,
                "updated_at": self._database.now(),
            }
            held = change(connection, job_id, values)
            record_held(connection, held, evidence)
            return held

    def fail(
        self,
        job_id: str,
        error: JobError,
        *,
        run_id: str | None = ANY_RUN,
        in_progress: bool = False,
        step: Step | None = None,
    ) -> Job:
        """A photo failed. If trying again can help and tries are left, it is due later.

        One that waits, for budget or for a service that is down, uses up no tries, however long
        it waits. A failure that opens a service's breaker makes those wait, too, that failed
        before it in the same row.

        Args:
            run_id: The run in whose hands it failed; ``None``: no run had taken it up.
            in_progress: Whether it fails only if it is on its way still: neither at its end nor
                waiting for a person.
            step: What the run did, for the timeline.

        Raises:
            InvalidTransitionError: Another run has taken it up since, it is not in progress any
                more, it has failed already, or a person stopped or rejected it.
        """
        with self._database.write() as connection:
            waits_for = error.waiting_for
            if error.blamed_service is not None:
                # First of all: anyone who locks a breaker and jobs does it in this order.
                breaker = self._breakers.failed(
                    connection,
                    error.blamed_service,
                    error.message,
                    for_good=error.refuses_all,
                    refused=error.is_refusal,
                )
                if breaker.is_open:
                    waits_for = breaker.name
                    self._wait_too(connection, breaker)
            job = lock(connection, job_id)
            _require_run(job_id, job.run_id, run_id)
            # Failed meanwhile by the dispatcher, which took the run for dead: that stands.
            late = job.status is JobStatus.FAILED and run_id != ANY_RUN
            if job.status in DECIDED or late or (in_progress and not job.in_progress):
                raise InvalidTransitionError(f"Job {job_id} is {job.status}, and not on its way.")
            now = self._database.now()
            waits = waits_for is not None
            retry = waits or (error.retryable and job.retry_count < self._max_retries)
            doublings = 0 if waits else job.retry_count
            delay = timedelta(seconds=self._retry_delay * 2**doublings)
            values = {
                "status": JobStatus.FAILED,
                "failed_at": now,
                "updated_at": now,
                "error_code": error.code,
                "error_message": error.message,
                "error_details": error.details,
                "retry_at": now + delay if retry else None,
                "waits_for": waits_for,
                "blames": error.blamed_service,
                "dispatch_id": None,
                # Nobody has to look at its picture any more.
                "review": None if job.review is Review.WAITING else job.review,
            }
            if step is not None:
                record(connection, job_id, step, now)
            return change(connection, job_id, values)

    def _wait_too(self, connection: Connection, breaker: Breaker) -> None:
        """Jobs that failed since a service is down, and because of it, wait for it."""
        due = self._database.now() + timedelta(seconds=self._retry_delay)
        which = (
            select(jobs.c.id)
            .where(jobs.c.status == JobStatus.FAILED, jobs.c.blames == breaker.name)
            .where(jobs.c.waits_for.is_(None), jobs.c.failed_at >= breaker.failing_since)
        )
        retry_at = func.coalesce(jobs.c.retry_at, due)
        _change_all(connection, which, waits_for=breaker.name, retry_at=retry_at)

    def retry(self, job_id: str) -> Job:
        """A person wants a job to go on, whatever its count of retries.

        One that is FAILED is due now. One that a person stopped or rejected is queued at once: it
        has not failed, so this is no retry that counts.

        Raises:
            InvalidTransitionError: See `can_retry`.
        """
        with self._database.write() as connection:
            job = lock(connection, job_id)
            if not can_retry(job):
                again = f" `photopipe publish {job_id}` publishes it again."
                raise InvalidTransitionError(
                    f"Job {job_id} is {job.status}; only a job that is "
                    f"{', '.join(RETRIABLE[:-1])} or {RETRIABLE[-1]} can be retried."
                    + (again if job.status is JobStatus.DONE else "")
                )
            values: dict[str, object] = {"retry_at": self._database.now()}
            if job.status in DECIDED:
                values = queued_again(self._database.now())
            return change(connection, job_id, values)

    def cancel(self, job_id: str, *, by: str) -> Job:
        """Stop a job that no run works on: nothing more is done for it until a person retries it.

        One that is on its way to a run keeps its dispatch, by which `begin` knows to leave it.

        Raises:
            InvalidTransitionError: See `can_cancel`.
        """
        with self._database.write() as connection:
            job = lock(connection, job_id)
            if not can_cancel(job):
                raise InvalidTransitionError(
                    f"Job {job_id} is {job.status}; only one that waits can be cancelled."
                )
            now = self._database.now()
            # What it had failed for before is no reason any more to take it up.
            values = NO_ERROR | {
                "status": JobStatus.CANCELLED,
                "updated_at": now,
                "retry_at": None,
                "cancelled_by": by[:MAX_NAME_CHARACTERS],
                "cancelled_at": now,
            }
            return change(connection, job_id, values)

    def redo(self, job_id: str) -> bool:
        """Send a DONE job out again: what is missing of it is made again, the rest is found.

        Returns:
            Whether it was DONE; if not, it is on its way already, or failed since.
        """
        with suppress(InvalidTransitionError):
            self.publish_again(job_id)
            return True
        return False

    def publish_again(self, job_id: str) -> Job:
        """A person wants the picture of a DONE job on its product again.

        Raises:
            InvalidTransitionError: The job is not DONE.
        """
        with self._database.write() as connection:
            job = lock(connection, job_id)
            if job.status is not JobStatus.DONE:
                raise InvalidTransitionError(
                    f"Job {job_id} is {job.status}; only a DONE one can be published again."
                )
            values = queued_again(self._database.now()) | {"retry_count": 0}
            return change(connection, job_id, values)

    def unpublished(self, job_id: str) -> None:
        """The picture of a job is off its product. Its status stays: what was made is still there.

        So nothing publishes it again but a run that is asked to. The same is true of jobs of the
        same photo under other SKUs of the product, which shared the picture.
        """
        now = self._database.now()
        with self._database.write() as connection:
            job = lock(connection, job_id)
            skus = select(products.c.sku).where(products.c.product_id == job.product_id)
            sharing = (
                select(jobs.c.id)
                .where(jobs.c.sha256 == job.key.sha256, jobs.c.theme == job.key.theme)
                .where(jobs.c.sku.in_(skus), jobs.c.media_id == job.media_id)
            )
            _change_all(connection, sharing, media_id=None, updated_at=now)
            change(connection, job_id, {"media_id": None, "updated_at": now})

    def forget_pictures(
        self, stage: Stage, skus: Collection[str], object_keys: Collection[str]
    ) -> None:
        """Pictures of a stage leave the store on purpose: their jobs do not name them any more.

        Args:
            skus: Of the photos, by which their jobs are found.
        """
        column = jobs.c[KEY_COLUMNS[stage]]
        which = select(jobs.c.id).where(jobs.c.sku.in_(skus), column.in_(object_keys))
        with self._database.write() as connection:
            _change_all(connection, which, **{column.name: None})

    def take_external(self, job_id: str, *, begin: bool = False) -> Job:
        """An orchestrator outside of Dagster works on a job. The caller holds its lease.

        Args:
            begin: Whether a job that is NEW, or that can be retried, is queued for it.

        Raises:
            InvalidTransitionError: The job is not for it: a run has it, a person is to look at
                it, or it is done.
        """
        with self._database.write() as connection:
            job = lock(connection, job_id)
            values: dict[str, object] = {"run_id": EXTERNAL, "updated_at": self._database.now()}
            if begin and job.status in (JobStatus.NEW, *RETRIABLE):
                values = queued_again(self._database.now()) | {"run_id": EXTERNAL}
            elif not job.in_progress or job.run_id not in (None, EXTERNAL):
                raise InvalidTransitionError(_not_for_external(job, begin))
            return change(connection, job_id, values)

    def requeue(self, job_ids: Collection[str], run_id: str | None) -> None:
        """A run that is told to stop gives back what it did not finish: it is dispatched again.

        Args:
            run_id: The run; ``None`` for photos that no run has picked up. Photos that another run
                has picked up since are left to it.
        """
        which = (
            select(jobs.c.id)
            .where(jobs.c.id.in_(job_ids), jobs.c.status.in_((JobStatus.QUEUED, *WORKING)))
            .where(jobs.c.run_id.is_not_distinct_from(run_id))
        )
        now = self._database.now()
        with self._database.write() as connection:
            _change_all(connection, which, dispatch_id=None, run_id=None, updated_at=now)


def _change_all(connection: Connection, which: Select[Any], **values: object) -> None:
    # Locked in the order of `Dispatches.take`, so that the two never wait for each other.
    found = which.order_by(jobs.c.created_at, jobs.c.id).with_for_update()
    ids = connection.execute(found).scalars().all()
    connection.execute(update(jobs).where(jobs.c.id.in_(ids)).values(values))


def _require_run(job_id: str, taken_by: str | None, run_id: str | None) -> None:
    if run_id not in (ANY_RUN, taken_by):
        raise InvalidTransitionError(f"Job {job_id} is of the run {taken_by}, not {run_id}.")


def _not_for_external(job: Job, begin: bool) -> str:
    if job.review is Review.WAITING:
        return f"Job {job.id} waits for a person to look at its picture."
    if job.status in (JobStatus.QUEUED, *WORKING):
        return (
            f"Job {job.id} is {job.status}: the pipeline is at work on it. Wait until it is done."
        )
    if begin:
        return f"Job {job.id} is {job.status}: there is nothing to start."
    return f"Job {job.id} is {job.status}. Allowed now: start."
