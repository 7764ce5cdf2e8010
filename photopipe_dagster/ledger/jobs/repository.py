"""Jobs: one for each photo, how it comes in, goes through its statuses, fails and rests."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, bindparam, func, select, update

from photopipe_dagster.core.errors import ErrorCode, InvalidTransitionError, JobError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.ledger.breakers import Breaker, Breakers
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.jobs import statuses
from photopipe_dagster.ledger.jobs.model import (
    CANCELLED,
    KEY_COLUMNS,
    NO_ERROR,
    OUTSIDE,
    Job,
    can_cancel,
    has_status,
    locked,
    queued,
    to_job,
)
from photopipe_dagster.ledger.jobs.statuses import WORKING, JobStatus, Review
from photopipe_dagster.ledger.jobs.steps import Step, record
from photopipe_dagster.ledger.stats.job_counts import Counts
from photopipe_dagster.ledger.tables import jobs
from photopipe_dagster.quality.results import CheckResult, as_record

WHOEVER: Final = "*"
"""In the place of a run's id: whichever run has the job, if any."""


# Built once: SQLAlchemy takes longer to build a statement than to run it.

_STANDING: Final = (
    select(jobs.c.status, jobs.c.quality, jobs.c.review)
    .where(jobs.c.id == bindparam("of_job"))
    .with_for_update()
)

_CHANGED: Final = update(jobs).where(jobs.c.id == bindparam("of_job"))
_CHANGED_TO: Final = _CHANGED.returning(jobs)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A photo that is announced.

    Args:
        source: How it came in: ``submit``, ``dagster``, ``backfill``, or as its source says.
        image_url: Where it can be fetched: a reference of any scheme that a source knows.
    """

    key: PhotoKey
    source: str
    image_url: str | None = None
    taken_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """What came of announcing a photo: its job, and whether that is new."""

    job: Job
    created: bool


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list; ``None`` means any."""

    status: JobStatus | None = None
    sku: str | None = None
    theme: str | None = None

    def apply(self, statement: Select[Any]) -> Select[Any]:
        """Narrow a query."""
        if self.status is not None:
            statement = statement.where(jobs.c.status == self.status)
        if self.sku is not None:
            statement = statement.where(jobs.c.sku == self.sku)
        if self.theme is not None:
            statement = statement.where(jobs.c.theme == self.theme)
        return statement


@dataclass(frozen=True, slots=True)
class JobStats:
    """Counts and costs over all jobs."""

    by_status: Mapping[JobStatus, int]
    total_cost: Decimal

    @property
    def total(self) -> int:
        """How many jobs there are."""
        return sum(self.by_status.values())


class Jobs:
    """The jobs of the ledger.

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
        self._counts = Counts(database)
        self._max_retries = max_retries
        self._retry_delay = retry_delay_seconds

    # --- coming in -----------------------------------------------------------------------

    def submit(
        self,
        key: PhotoKey,
        source: str,
        *,
        image_url: str | None = None,
        taken_at: datetime | None = None,
    ) -> Submission:
        """Announce a photo. Once or a thousand times, at once or years apart: one job.

        A photo that is announced anew before it was fetched is fetched from its new URL: the old
        one may have expired.
        """
        created = self.submit_all([Arrival(key, source, image_url, taken_at)])[0]
        return Submission(self.require(key.job_id), created)

    def submit_all(self, arrivals: Sequence[Arrival]) -> list[bool]:
        """Announce many photos in one transaction: as `submit`, and much cheaper.

        Returns:
            Of each, whether its job is new.
        """
        first: dict[str, Arrival] = {}
        for arrival in arrivals:
            first.setdefault(arrival.key.job_id, arrival)
        known = self._known(first)
        moved = [
            (job_id, first[job_id].image_url)
            for job_id, (image_url, fetched) in sorted(known.items())
            if not fetched and first[job_id].image_url not in (None, image_url)
        ]
        rows = [
            self.new_row(arrival, place)
            for place, (job_id, arrival) in enumerate(first.items())
            if job_id not in known
        ]
        created: set[str] = set()
        if rows or moved:
            with self._database.write() as connection:
                if rows:
                    # In one order everywhere, so that two batches never wait for each other.
                    rows.sort(key=itemgetter("id"))
                    statement = self._database.insert(jobs).on_conflict_do_nothing()
                    made = connection.execute(statement.returning(jobs.c.id), rows)
                    created.update(made.scalars())
                for job_id, image_url in moved:
                    connection.execute(
                        update(jobs)
                        .where(jobs.c.id == job_id, jobs.c.original_key.is_(None))
                        .values(image_url=image_url, updated_at=self._database.now())
                    )
        # Where several announce the same photo, the first has made its job.
        return [
            arrival is first[arrival.key.job_id] and arrival.key.job_id in created
            for arrival in arrivals
        ]

    def _known(self, job_ids: Collection[str]) -> dict[str, tuple[str | None, bool]]:
        """Of jobs that exist: the photo's URL, and whether it was fetched."""
        query = select(jobs.c.id, jobs.c.image_url, jobs.c.original_key)
        rows = self._database.all(query.where(jobs.c.id.in_(job_ids)))
        return {row.id: (row.image_url, row.original_key is not None) for row in rows}

    def new_row(self, arrival: Arrival, place: int) -> dict[str, Any]:
        """The row of a photo that is NEW.

        Args:
            place: Among those that are announced together, from 0.
        """
        # A microsecond apart, so that lists have them in the order in which they came.
        now = self._database.now() + timedelta(microseconds=place)
        key = arrival.key
        return {
            "id": key.job_id,
            "sku": key.sku,
            "sha256": key.sha256,
            "theme": key.theme,
            "partition_key": key.partition_key,
            "status": JobStatus.NEW,
            "source": arrival.source,
            "image_url": arrival.image_url,
            "taken_at": arrival.taken_at,
            "created_at": now,
            "updated_at": now,
            "segmentation_cost": Decimal(0),
            "background_cost": Decimal(0),
            "retry_count": 0,
        }

    # --- looking -------------------------------------------------------------------------

    def get(self, job_id: str) -> Job | None:
        """The job of that id."""
        row = self._database.one(select(jobs).where(jobs.c.id == job_id))
        return None if row is None else to_job(row)

    def require(self, job_id: str) -> Job:
        """The job of that id; KeyError if there is none."""
        job = self.get(job_id)
        if job is None:
            raise KeyError(job_id)
        return job

    def find(self, which: JobFilter, *, limit: int, offset: int = 0) -> list[Job]:
        """Jobs, newest first."""
        newest = jobs.c.created_at.desc(), jobs.c.id.desc()
        # The page is found in an index alone: only its own rows are read.
        page = which.apply(select(jobs.c.id)).order_by(*newest).limit(limit)
        if which.sku is None:
            page = self._counts.pass_over(page, offset, status=which.status, theme=which.theme)
        else:
            page = page.offset(offset)
        ids = [row.id for row in self._database.all(page)]
        query = select(jobs).where(jobs.c.id.in_(ids)).order_by(*newest)
        return [to_job(row) for row in self._database.all(query)]

    def count(self, which: JobFilter) -> int:
        """How many jobs `find` would give without a limit."""
        if which.sku is None:
            counts = self._counts.by_status(which.theme)
            wanted = counts if which.status is None else [which.status]
            return sum(counts[status].jobs for status in wanted)
        row = self._database.one(which.apply(select(func.count()).select_from(jobs)))
        return int(row[0]) if row is not None else 0

    def stats(self) -> JobStats:
        """Counts by status and the sum of costs."""
        counts = self._counts.by_status()
        return JobStats(
            {status: count.jobs for status, count in counts.items()},
            sum((count.cost for count in counts.values()), Decimal(0)),
        )

    def published_by(self, run_id: str, since: datetime) -> list[Job]:
        """Jobs that a run brought to DONE.

        Args:
            since: When it was launched, or before.
        """
        query = select(jobs).where(
            jobs.c.run_id == run_id,
            has_status(JobStatus.DONE),
            jobs.c.completed_at >= since,
        )
        return [to_job(row) for row in self._database.all(query)]

    # --- going through -------------------------------------------------------------------

    def begin(self, key: PhotoKey, run_id: str, *, again: bool) -> Job:
        """A run takes a photo up. Makes the job if there is none (materialized by hand).

        Args:
            again: Whether a job that is DONE goes back to QUEUED: the run will publish it anew.

        Raises:
            InvalidTransitionError: It was cancelled on its way to a run.
        """
        with self._database.write() as connection:
            row = connection.execute(locked(key.job_id)).first()
            if row is None:
                new = self._database.insert(jobs).values(self.new_row(Arrival(key, "dagster"), 0))
                connection.execute(new.on_conflict_do_nothing())
                row = connection.execute(locked(key.job_id)).one()
            job = to_job(row)
            if job.cancelled and job.dispatch_id is not None:
                raise InvalidTransitionError(f"Job {job.id} was cancelled: retry it to go on.")
            back = job.status is JobStatus.FAILED or (again and job.status is JobStatus.DONE)
            if back or job.status is JobStatus.NEW:
                statuses.check(job.status, JobStatus.QUEUED)
                values = queued(self._database.now()) | {"run_id": run_id}
                if job.status is JobStatus.DONE:
                    values["retry_count"] = 0
            else:
                values = {"run_id": run_id, "updated_at": self._database.now()}
            changed = connection.execute(_CHANGED_TO, {"of_job": job.id, **values})
            return to_job(changed.one())

    def advance(
        self,
        job_id: str,
        status: JobStatus,
        *,
        stored: tuple[Stage, str] | None = None,
        published: tuple[str, str] | None = None,
        step: Step | None = None,
        checks: Sequence[CheckResult] = (),
    ) -> None:
        """Go forward to a status; it stays what it is if the job is there already or past it.

        Args:
            stored: A stage that has ended, and the key of its picture.
            published: The ids of the Shopify product and media.
            step: What the run did, for the timeline.
            checks: What was found in the stage's picture, instead of what was found before.

        Raises:
            InvalidTransitionError: The job is FAILED.
        """
        now = self._database.now()
        with self._database.write() as connection:
            now_status, quality, review = connection.execute(_STANDING, {"of_job": job_id}).one()
            old = JobStatus(now_status)
            values: dict[str, object] = {"updated_at": now}
            if stored is not None:
                values[KEY_COLUMNS[stored[0]]] = stored[1]
            if published is not None:
                values["shopify_product_id"], values["shopify_media_id"] = published
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
            connection.execute(_CHANGED, {"of_job": job_id, **values})
            if step is not None:
                record(connection, job_id, step, now)

    def hold(self, job_id: str, reasons: Sequence[str], digest: str) -> Job:
        """A person looks at the picture before it is published; until then the job rests.

        An approval of the same picture that has come in the meantime stands.

        Args:
            reasons: Why.
            digest: SHA-256 of the picture.
        """
        approved = and_(jobs.c.review == Review.APPROVED, jobs.c.review_digest == digest)
        with self._database.write() as connection:
            connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id, approved.is_not(True))
                .values(
                    review=Review.WAITING,
                    review_reasons=list(reasons),
                    review_digest=digest,
                    review_note=None,
                    reviewed_by=None,
                    reviewed_at=None,
                    updated_at=self._database.now(),
                )
            )
        return self.require(job_id)

    def queued_again(self) -> dict[str, object]:
        """The columns of a job that is to be dispatched anew."""
        return queued(self._database.now()) | {
            "dispatch_id": None,
            "dispatched_at": None,
            "run_id": None,
            "batch_id": None,
        }

    def fail(
        self,
        job_id: str,
        error: JobError,
        *,
        run_id: str | None = WHOEVER,
        in_hand: bool = False,
        step: Step | None = None,
    ) -> Job:
        """A photo failed. If trying again can help and tries are left, it is due later.

        One that waits, for budget or for a service that is down, uses up no tries, however long
        it waits. A failure that opens a service's breaker makes those wait, too, that failed
        before it in the same row.

        Args:
            run_id: The run in whose hands it failed; ``None``: no run had taken it up.
            in_hand: Whether it fails only if it is on its way still: neither at its end nor
                waiting for a person.
            step: What the run did, for the timeline.

        Raises:
            InvalidTransitionError: Another run has taken it up since, or it is not in hand any
                more.
        """
        with self._database.write() as connection:
            waits_for = error.waits_for
            if error.blames is not None:
                # First of all: whoever locks a breaker and jobs does it in this order.
                breaker = self._breakers.failed(connection, error.blames, error.message)
                if breaker.is_open:
                    waits_for = breaker.name
                    self._wait_too(connection, breaker)
            job = to_job(connection.execute(locked(job_id)).one())
            if run_id != WHOEVER and job.run_id != run_id:
                raise InvalidTransitionError(
                    f"Job {job_id} is of the run {job.run_id}, not {run_id}."
                )
            if in_hand and not job.in_hand:
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
                "blames": error.blames,
                "dispatch_id": None,
                # Nobody has to look at its picture any more.
                "review": None if job.review is Review.WAITING else job.review,
            }
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))
            if step is not None:
                record(connection, job_id, step, now)
        return self.require(job_id)

    def _wait_too(self, connection: Connection, breaker: Breaker) -> None:
        """Jobs that failed since a service is down, and because of it, wait for it."""
        due = self._database.now() + timedelta(seconds=self._retry_delay)
        query = (
            select(jobs.c.id)
            .where(jobs.c.status == JobStatus.FAILED, jobs.c.blames == breaker.name)
            .where(jobs.c.waits_for.is_(None), jobs.c.failed_at >= breaker.failing_since)
            .order_by(jobs.c.created_at, jobs.c.id)
        )
        # Locked in the order of `Dispatches.take`, so that the two never wait for each other.
        ids = connection.execute(query.with_for_update()).scalars().all()
        connection.execute(
            update(jobs)
            .where(jobs.c.id.in_(ids))
            .values(waits_for=breaker.name, retry_at=func.coalesce(jobs.c.retry_at, due))
        )

    def retry(self, job_id: str) -> Job:
        """A person wants a FAILED job tried again now, whatever its count of retries.

        Raises:
            InvalidTransitionError: The job is not FAILED.
        """
        with self._database.write() as connection:
            job = to_job(connection.execute(locked(job_id)).one())
            if job.status is not JobStatus.FAILED:
                raise InvalidTransitionError(
                    f"Job {job_id} is {job.status}; only a FAILED job can be retried."
                    + (
                        f" `photopipe publish {job_id}` publishes it again."
                        if job.status is JobStatus.DONE
                        else ""
                    )
                )
            values = {"retry_at": self._database.now()}
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))
        return self.require(job_id)

    def cancel(self, job_id: str, *, by: str) -> Job:
        """Stop a job that no run works on: it is FAILED until a person retries it.

        One that is on its way to a run keeps its dispatch, by which `begin` knows to leave it.

        Raises:
            InvalidTransitionError: See `can_cancel`.
        """
        with self._database.write() as connection:
            job = to_job(connection.execute(locked(job_id)).one())
            if not can_cancel(job):
                raise InvalidTransitionError(
                    f"Job {job_id} is {job.status}; only one that waits can be cancelled."
                )
            now = self._database.now()
            values = {
                "status": JobStatus.FAILED,
                "failed_at": now,
                "updated_at": now,
                "error_code": ErrorCode.VALIDATION_ERROR,
                "error_message": f"Cancelled by {by}.",
                "error_details": {"kind": CANCELLED},
                "retry_at": None,
                # What it had failed for before is no reason any more to take it up.
                "waits_for": None,
                "blames": None,
            }
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))
        return self.require(job_id)

    def redo(self, job_id: str) -> bool:
        """Send a DONE job out again: what is missing of it is made anew, the rest is found.

        Returns:
            Whether it was DONE; if not, it is on its way already, or failed since.
        """
        with self._database.write() as connection:
            job = to_job(connection.execute(locked(job_id)).one())
            if job.status is not JobStatus.DONE:
                return False
            values = self.queued_again() | {"retry_count": 0}
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))
        return True

    def publish_again(self, job_id: str) -> Job:
        """A person wants the picture of a DONE job on its product again.

        Raises:
            InvalidTransitionError: The job is not DONE.
        """
        if not self.redo(job_id):
            job = self.require(job_id)
            raise InvalidTransitionError(
                f"Job {job_id} is {job.status}; only a DONE one can be published again."
            )
        return self.require(job_id)

    def unpublished(self, job_id: str) -> None:
        """The picture of a job is off its product. Its status stays: what was made is still there.

        So nothing publishes it again but a run that is asked to.
        """
        with self._database.write() as connection:
            connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id)
                .values(shopify_media_id=None, updated_at=self._database.now())
            )

    def forget_pictures(
        self, stage: Stage, skus: Collection[str], object_keys: Collection[str]
    ) -> None:
        """Pictures of a stage leave the store on purpose: their jobs do not name them any more.

        Args:
            skus: Of the photos, by which their jobs are found.
        """
        column = jobs.c[KEY_COLUMNS[stage]]
        query = select(jobs.c.id).where(jobs.c.sku.in_(skus), column.in_(object_keys))
        query = query.order_by(jobs.c.created_at, jobs.c.id)
        with self._database.write() as connection:
            # Locked in the order of `Dispatches.take`, so that the two never wait for each other.
            ids = connection.execute(query.with_for_update()).scalars().all()
            connection.execute(update(jobs).where(jobs.c.id.in_(ids)).values({column.name: None}))

    def take_outside(self, job_id: str, *, begin: bool = False) -> Job:
        """An orchestrator outside of Dagster works on a job. The caller holds the claim on it.

        Args:
            begin: Whether a job that is NEW or FAILED is queued for it.

        Raises:
            InvalidTransitionError: The job is not for it: a run has it, a person is to look at
                it, or it is done.
        """
        with self._database.write() as connection:
            job = to_job(connection.execute(locked(job_id)).one())
            values: dict[str, object] = {"run_id": OUTSIDE, "updated_at": self._database.now()}
            if begin and job.status in (JobStatus.NEW, JobStatus.FAILED):
                values = self.queued_again() | {"run_id": OUTSIDE}
            elif not job.in_hand or job.run_id not in (None, OUTSIDE):
                raise InvalidTransitionError(_not_for_outside(job, begin))
            changed = update(jobs).where(jobs.c.id == job.id).values(values).returning(jobs)
            return to_job(connection.execute(changed).one())

    def hand_back(self, job_ids: Collection[str], run_id: str | None) -> None:
        """A run that is told to stop gives back what it did not finish: it is dispatched anew.

        Args:
            run_id: The run; ``None`` for photos that no run has taken up. Photos that another run
                has taken up since are left to it.
        """
        query = (
            select(jobs.c.id)
            .where(jobs.c.id.in_(job_ids), jobs.c.status.in_((JobStatus.QUEUED, *WORKING)))
            .where(jobs.c.run_id.is_not_distinct_from(run_id))
            .order_by(jobs.c.created_at, jobs.c.id)
        )
        with self._database.write() as connection:
            # Locked in the order of `Dispatches.take`, so that the two never wait for each other.
            ids = connection.execute(query.with_for_update()).scalars().all()
            connection.execute(
                update(jobs)
                .where(jobs.c.id.in_(ids))
                .values(dispatch_id=None, run_id=None, updated_at=self._database.now())
            )


def _not_for_outside(job: Job, begin: bool) -> str:
    if job.review is Review.WAITING:
        return f"Job {job.id} waits for a person to look at its picture."
    if job.status in (JobStatus.QUEUED, *WORKING):
        return (
            f"Job {job.id} is {job.status}: the pipeline is at work on it. Wait until it is done."
        )
    if begin:
        return f"Job {job.id} is {job.status}: there is nothing to start."
    return f"Job {job.id} is {job.status}. Allowed now: start."
