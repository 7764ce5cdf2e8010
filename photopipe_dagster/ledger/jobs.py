"""Jobs: one for each photo, its status, its failures and its way through dispatches."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import Select, and_, func, select, update

from photopipe_dagster.errors import BudgetExceeded, ErrorCode, InvalidTransition, JobError
from photopipe_dagster.ledger import statuses
from photopipe_dagster.ledger.claims import job_claim
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.statuses import WORKING, JobStatus
from photopipe_dagster.ledger.tables import claims, jobs
from photopipe_dagster.photo import PhotoKey, Stage

Source = Literal["webhook", "poll", "submit", "dagster"]
"""How a photo came in."""

_Kind = Literal["new", "retry", "handed back", "waits for budget"]
_KINDS: tuple[_Kind, ...] = ("new", "retry", "handed back", "waits for budget")

_IN_HAND = (JobStatus.QUEUED, *WORKING)
"""Statuses of jobs that are on their way."""

_KEY_COLUMNS = {
    Stage.ORIGINAL: "original_key",
    Stage.MASK: "mask_key",
    Stage.BACKGROUND: "background_key",
    Stage.COMPOSITE: "composite_key",
}


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the ledger knows it. Moments are UTC, costs USD."""

    id: str
    key: PhotoKey
    status: JobStatus
    source: str
    image_url: str | None
    taken_at: datetime | None
    created_at: datetime
    updated_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    failed_at: datetime | None
    object_keys: Mapping[Stage, str | None]
    shopify_product_id: str | None
    shopify_media_id: str | None
    segmentation_cost: Decimal
    background_cost: Decimal
    error_code: ErrorCode | None
    error_message: str | None
    error_details: Mapping[str, Any] | None
    retry_count: int
    retry_at: datetime | None
    dispatch_id: str | None
    run_id: str | None

    @property
    def total_cost(self) -> Decimal:
        """USD that this job has cost."""
        return self.segmentation_cost + self.background_cost

    def __repr__(self) -> str:
        return f"Job({self.id}, {self.key}, {self.status})"


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


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Jobs that go to one run together.

    Args:
        id: Also Dagster's run key, so that the same dispatch is never launched twice.
        keys: Their photos.
    """

    id: str
    keys: tuple[PhotoKey, ...]


class Jobs:
    """The jobs of the ledger.

    Args:
        database: Where they are.
        max_retries: Retries of a job at most.
        retry_delay_seconds: Wait before the first retry; doubles each time.
    """

    def __init__(self, database: Database, max_retries: int, retry_delay_seconds: int) -> None:
        self._database = database
        self._max_retries = max_retries
        self._retry_delay = retry_delay_seconds

    # --- coming in -----------------------------------------------------------------------

    def submit(
        self,
        key: PhotoKey,
        source: Source,
        *,
        image_url: str | None = None,
        taken_at: datetime | None = None,
    ) -> Submission:
        """Announce a photo. Once or a thousand times, at once or years apart: one job.

        A photo that is announced anew before it was fetched is fetched from its new URL: the old
        one may have expired.
        """
        known = self.get(key.job_id)
        if known is not None:
            return Submission(self._with_url(known, image_url), created=False)
        now = self._database.now()
        statement = (
            self._database.insert(jobs)
            .values(
                id=key.job_id,
                sku=key.sku,
                sha256=key.sha256,
                theme=key.theme,
                partition_key=key.partition_key,
                status=JobStatus.NEW,
                source=source,
                image_url=image_url,
                taken_at=taken_at,
                created_at=now,
                updated_at=now,
                segmentation_cost=Decimal(0),
                background_cost=Decimal(0),
                retry_count=0,
            )
            .on_conflict_do_nothing()
        )
        with self._database.write() as connection:
            created = connection.execute(statement).rowcount == 1
        return Submission(self.require(key.job_id), created)

    def _with_url(self, job: Job, image_url: str | None) -> Job:
        fetched = job.object_keys[Stage.ORIGINAL] is not None
        if fetched or image_url is None or image_url == job.image_url:
            return job
        with self._database.write() as connection:
            connection.execute(
                update(jobs)
                .where(jobs.c.id == job.id, jobs.c.original_key.is_(None))
                .values(image_url=image_url, updated_at=self._database.now())
            )
        return self.require(job.id)

    # --- looking -------------------------------------------------------------------------

    def get(self, job_id: str) -> Job | None:
        """The job of that id."""
        row = self._database.one(select(jobs).where(jobs.c.id == job_id))
        return None if row is None else _job(row)

    def require(self, job_id: str) -> Job:
        """The job of that id; KeyError if there is none."""
        job = self.get(job_id)
        if job is None:
            raise KeyError(job_id)
        return job

    def find(self, which: JobFilter, *, limit: int, offset: int = 0) -> list[Job]:
        """Jobs, newest first."""
        query = which.apply(select(jobs)).order_by(jobs.c.created_at.desc(), jobs.c.id)
        return [_job(row) for row in self._database.all(query.limit(limit).offset(offset))]

    def count(self, which: JobFilter) -> int:
        """How many jobs `find` would give without a limit."""
        row = self._database.one(which.apply(select(func.count()).select_from(jobs)))
        return int(row[0]) if row is not None else 0

    def stats(self) -> JobStats:
        """Counts by status and the sum of costs."""
        rows = self._database.all(
            select(
                jobs.c.status,
                func.count(),
                func.sum(jobs.c.segmentation_cost),
                func.sum(jobs.c.background_cost),
            ).group_by(jobs.c.status)
        )
        by_status = dict.fromkeys(JobStatus, 0)
        by_status |= {JobStatus(row[0]): int(row[1]) for row in rows}
        return JobStats(by_status, sum((row[2] + row[3] for row in rows), Decimal(0)))

    # --- going through -------------------------------------------------------------------

    def begin(self, key: PhotoKey, run_id: str, *, again: bool) -> Job:
        """A run takes a photo up. Makes the job if there is none (materialized by hand).

        Args:
            again: Whether a job that is DONE goes back to QUEUED: the run will publish it anew.
        """
        self.submit(key, "dagster")
        with self._database.write() as connection:
            job = _job(connection.execute(_locked(key.job_id)).one())
            back = job.status is JobStatus.FAILED or (again and job.status is JobStatus.DONE)
            if back or job.status is JobStatus.NEW:
                statuses.check(job.status, JobStatus.QUEUED)
                values = self._queued() | {"run_id": run_id}
                if job.status is JobStatus.DONE:
                    values["retry_count"] = 0
            else:
                values = {"run_id": run_id, "updated_at": self._database.now()}
            changed = update(jobs).where(jobs.c.id == job.id).values(values).returning(jobs)
            return _job(connection.execute(changed).one())

    def advance(
        self,
        job_id: str,
        status: JobStatus,
        *,
        stored: tuple[Stage, str] | None = None,
        published: tuple[str, str] | None = None,
    ) -> None:
        """Go forward to a status; it stays what it is if the job is there already or past it.

        Args:
            stored: A stage that has ended, and the key of its picture.
            published: The ids of the Shopify product and media.

        Raises:
            InvalidTransition: The job is FAILED.
        """
        now = self._database.now()
        with self._database.write() as connection:
            status_now = _locked(job_id).with_only_columns(jobs.c.status)
            old = JobStatus(connection.execute(status_now).scalar_one())
            values: dict[str, object] = {"updated_at": now}
            if stored is not None:
                values[_KEY_COLUMNS[stored[0]]] = stored[1]
            if published is not None:
                values["shopify_product_id"], values["shopify_media_id"] = published
            taken = statuses.steps(old, status)
            if taken:
                values["status"] = status
            if JobStatus.QUEUED in taken:
                values["queued_at"] = now
            if JobStatus.SEGMENTING in taken:
                values["started_at"] = now
            if JobStatus.DONE in taken:
                values |= {"completed_at": now, "retry_at": None} | _NO_ERROR
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))

    def fail(self, job_id: str, error: JobError) -> Job:
        """A photo failed. If trying again can help and tries are left, it is due later.

        One that waits for budget uses up no tries, however long it waits.
        """
        now = self._database.now()
        with self._database.write() as connection:
            job = _job(connection.execute(_locked(job_id)).one())
            waits = isinstance(error, BudgetExceeded)
            retry = error.retryable and (waits or job.retry_count < self._max_retries)
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
                "dispatch_id": None,
            }
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))
        return self.require(job_id)

    def retry(self, job_id: str) -> Job:
        """A person wants a FAILED job tried again now, whatever its count of retries.

        Raises:
            InvalidTransition: The job is not FAILED.
        """
        with self._database.write() as connection:
            job = _job(connection.execute(_locked(job_id)).one())
            if job.status is not JobStatus.FAILED:
                raise InvalidTransition(
                    f"Job {job_id} is {job.status}; only a FAILED job can be retried."
                )
            values = {"retry_at": self._database.now()}
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))
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

    # --- being dispatched ----------------------------------------------------------------

    def dispatch(
        self,
        *,
        photos_per_dispatch: int,
        limit: int,
        may_pay: Callable[[Job], bool] = lambda _: True,
    ) -> list[Dispatch]:
        """Take what is due into dispatches.

        Due are new jobs, retries, photos that a run handed back, and those that wait for budget.
        Each dispatch holds one of these kinds only, oldest first.

        Args:
            may_pay: Asked of each photo that waits for budget: whether there is some for it.
        """
        if not any(
            self._database.one(_due(self._database.now(), kind).limit(1)) for kind in _KINDS
        ):
            return []
        dispatches = []
        with self._database.write() as connection:
            for kind in _KINDS:
                query = _due(self._database.now(), kind).limit(limit).with_for_update()
                found = [_job(row) for row in connection.execute(query)]
                if kind == "waits for budget":
                    found = [job for job in found if may_pay(job)]
                for start in range(0, len(found), photos_per_dispatch):
                    batch = found[start : start + photos_per_dispatch]
                    dispatch = Dispatch(secrets.token_hex(8), tuple(job.key for job in batch))
                    connection.execute(
                        update(jobs)
                        .where(jobs.c.id.in_([job.id for job in batch]))
                        .values(self._dispatched(kind, dispatch.id))
                    )
                    dispatches.append(dispatch)
        return dispatches

    def _dispatched(self, kind: _Kind, dispatch_id: str) -> dict[str, object]:
        now = self._database.now()
        values = {"dispatch_id": dispatch_id, "dispatched_at": now, "run_id": None}
        if kind == "handed back":
            return values
        if kind == "retry":
            values["retry_count"] = jobs.c.retry_count + 1
        return self._queued() | values

    def in_hand(self) -> tuple[int, int]:
        """How many photos on their way have no cut-out yet, and how many only no background."""
        on_their_way = select(func.count()).where(jobs.c.status.in_(_IN_HAND))
        bare = self._database.one(on_their_way.where(jobs.c.mask_key.is_(None)))
        cut_out = self._database.one(
            on_their_way.where(jobs.c.mask_key.is_not(None), jobs.c.background_key.is_(None))
        )
        return (0 if bare is None else bare[0]), (0 if cut_out is None else cut_out[0])

    def undelivered(self, older_than_seconds: float) -> list[Dispatch]:
        """Dispatches some time ago whose photos no run has taken up."""
        limit = self._database.now() - timedelta(seconds=older_than_seconds)
        query = (
            select(jobs)
            .where(jobs.c.status.in_(_IN_HAND), jobs.c.run_id.is_(None))
            .where(jobs.c.dispatch_id.is_not(None), jobs.c.dispatched_at < limit)
            .order_by(jobs.c.dispatch_id, jobs.c.created_at, jobs.c.id)
        )
        waiting: dict[str, list[PhotoKey]] = {}
        for row in self._database.all(query):
            waiting.setdefault(row.dispatch_id, []).append(_job(row).key)
        return [Dispatch(name, tuple(keys)) for name, keys in waiting.items()]

    def abandoned(self) -> list[Job]:
        """Jobs that a run took up and holds no longer: the run died."""
        held = (
            select(claims.c.name)
            .where(claims.c.name == job_claim(jobs.c.id))
            .where(claims.c.expires_at > self._database.now())
        )
        query = select(jobs).where(
            jobs.c.status.in_(_IN_HAND),
            jobs.c.run_id.is_not(None),
            ~held.exists(),
        )
        return [_job(row) for row in self._database.all(query)]

    def published_by(self, run_id: str) -> list[Job]:
        """Jobs that a run brought to DONE."""
        query = select(jobs).where(jobs.c.run_id == run_id, jobs.c.status == JobStatus.DONE)
        return [_job(row) for row in self._database.all(query.order_by(jobs.c.id))]

    def hand_back(self, job_ids: Collection[str], run_id: str | None) -> None:
        """A run that is told to stop gives back what it did not finish: it is dispatched anew.

        Args:
            run_id: The run; ``None`` for photos that no run has taken up. Photos that another run
                has taken up since are left to it.
        """
        query = (
            select(jobs.c.id)
            .where(jobs.c.id.in_(job_ids), jobs.c.status.in_(_IN_HAND))
            .where(jobs.c.run_id.is_not_distinct_from(run_id))
            .order_by(jobs.c.created_at, jobs.c.id)
        )
        with self._database.write() as connection:
            # Locked in the order of `dispatch`, so that the two never wait for each other.
            ids = connection.execute(query.with_for_update()).scalars().all()
            connection.execute(
                update(jobs)
                .where(jobs.c.id.in_(ids))
                .values(dispatch_id=None, run_id=None, updated_at=self._database.now())
            )

    def _queued(self) -> dict[str, object]:
        now = self._database.now()
        return {
            "status": JobStatus.QUEUED,
            "queued_at": now,
            "updated_at": now,
            "started_at": None,
            "completed_at": None,
            "retry_at": None,
        } | _NO_ERROR


_NO_ERROR: dict[str, object] = {
    "error_code": None,
    "error_message": None,
    "error_details": None,
    "failed_at": None,
}


def _locked(job_id: str) -> Select[Any]:
    return select(jobs).where(jobs.c.id == job_id).with_for_update()


def _due(now: datetime, kind: _Kind) -> Select[Any]:
    match kind:
        case "new":
            due = jobs.c.status == JobStatus.NEW
        case "retry":
            due = and_(
                jobs.c.status == JobStatus.FAILED,
                jobs.c.retry_at <= now,
                jobs.c.error_code != ErrorCode.COST_LIMIT_ERROR,
            )
        case "waits for budget":
            due = and_(
                jobs.c.status == JobStatus.FAILED,
                jobs.c.retry_at <= now,
                jobs.c.error_code == ErrorCode.COST_LIMIT_ERROR,
            )
        case "handed back":
            due = and_(
                jobs.c.status.in_(_IN_HAND), jobs.c.run_id.is_(None), jobs.c.dispatch_id.is_(None)
            )
    return select(jobs).where(due).order_by(jobs.c.created_at, jobs.c.id)


def _job(row: Any) -> Job:
    return Job(
        id=row.id,
        key=PhotoKey(row.sku, row.sha256, row.theme),
        status=JobStatus(row.status),
        source=row.source,
        image_url=row.image_url,
        taken_at=row.taken_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        queued_at=row.queued_at,
        started_at=row.started_at,
        completed_at=row.completed_at,
        failed_at=row.failed_at,
        object_keys={stage: getattr(row, column) for stage, column in _KEY_COLUMNS.items()},
        shopify_product_id=row.shopify_product_id,
        shopify_media_id=row.shopify_media_id,
        segmentation_cost=row.segmentation_cost,
        background_cost=row.background_cost,
        error_code=None if row.error_code is None else ErrorCode(row.error_code),
        error_message=row.error_message,
        error_details=row.error_details,
        retry_count=row.retry_count,
        retry_at=row.retry_at,
        dispatch_id=row.dispatch_id,
        run_id=row.run_id,
    )
