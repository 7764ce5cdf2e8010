"""One job: a row of the table as an object, and conditions that its readers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, case, select, update

from photopipe_dagster.core.errors import ErrorCode, NotFoundError
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.stages import STORED, Stage
from photopipe_dagster.ledger.jobs.statuses import RETRIABLE, WORKING, JobStatus, Review
from photopipe_dagster.ledger.tables import jobs

MAX_NAME_CHARACTERS: Final = 64
"""Of a person's name, as the columns have room for."""

EXTERNAL: Final = "outside"
"""In the place of a run's id: an orchestrator outside of Dagster works on the job."""

IN_PROGRESS = and_(
    jobs.c.status.in_((JobStatus.QUEUED, *WORKING)),
    jobs.c.review.is_distinct_from(Review.WAITING),
)
"""Jobs that are on their way, and do not wait for a person."""

NOT_BEGUN = jobs.c.status.in_((JobStatus.NEW, JobStatus.QUEUED))
"""Jobs that no run has picked up yet."""

KEY_COLUMNS: Final = {stage: f"{stage}_key" for stage in STORED}
"""Where a job keeps the key of a stage's picture."""

NO_ERROR: dict[str, object] = {
    "error_code": None,
    "error_message": None,
    "error_details": None,
    "failed_at": None,
    "waits_for": None,
    "blames": None,
    "cancelled_by": None,
    "cancelled_at": None,
}
"""The columns of a job that has nothing against it."""


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
    product_id: str | None
    media_id: str | None
    segmentation_cost: Decimal
    background_cost: Decimal
    error_code: ErrorCode | None
    error_message: str | None
    error_details: Mapping[str, Any] | None
    retry_count: int
    retry_at: datetime | None
    dispatch_id: str | None
    run_id: str | None
    waiting_for: str | None = None
    """What a FAILED job waits for: the budget, or a service that is down."""
    variant: int = 1
    """Which background, from 1: another is asked for by a person."""
    theme_revision: int | None = None
    """Of its theme, by which the composite was made; ``None`` of a built-in theme."""
    quality: Mapping[str, Any] | None = None
    """What the checks measured, by check; see `checks.from_record`."""
    review: Review | None = None
    review_reasons: tuple[str, ...] = ()
    review_digest: str | None = None
    """SHA-256 of the picture that the review is about: the composite, or the cut-out where a
    person says first whether a background is to be bought."""
    review_note: str | None = None
    reviewed_by: str | None = None
    reviewed_at: datetime | None = None
    cancelled_by: str | None = None
    cancelled_at: datetime | None = None

    @property
    def total_cost(self) -> Decimal:
        """USD that this job has cost."""
        return self.segmentation_cost + self.background_cost

    @property
    def in_progress(self) -> bool:
        """Whether it is on its way, and does not wait for a person: `IN_PROGRESS` of a row."""
        on_its_way = self.status in (JobStatus.QUEUED, *WORKING)
        return on_its_way and self.review is not Review.WAITING

    @property
    def decision(self) -> str | None:
        """Who stopped it, or rejected its picture and why, as a sentence; else ``None``."""
        if self.status is JobStatus.CANCELLED:
            return f"Cancelled by {self.cancelled_by}."
        if self.status is JobStatus.REJECTED:
            why = f": {self.review_note}" if self.review_note else "."
            return f"Rejected by {self.reviewed_by}{why}"
        return None

    @property
    def reason(self) -> str:
        """Why it stopped: a person's decision, or the error's code and message; else empty."""
        error = "" if self.error_code is None else f"{self.error_code}: {self.error_message}"
        return self.decision or error

    def __repr__(self) -> str:
        return f"Job({self.id}, {self.key}, {self.status})"


def can_cancel(job: Job) -> bool:
    """Whether a job waits, and for no person: it is new, queued for a run, or to be tried again."""
    if job.status is JobStatus.FAILED:
        return job.retry_at is not None
    waits = job.status is JobStatus.QUEUED and job.run_id is None
    return job.status is JobStatus.NEW or waits


def can_retry(job: Job) -> bool:
    """Whether a person can have it go on: it failed, or a person stopped or rejected it."""
    return job.status in RETRIABLE


def has_status(*statuses: JobStatus) -> ColumnElement[bool]:
    """Of jobs that are found by something else: they have one of these statuses.

    Asked plainly, SQLite finds them by their status: all that ever were done, or ever failed.
    """
    return case((jobs.c.status.in_(statuses), 1), else_=0) == 1


def queued(now: datetime) -> dict[str, object]:
    """The columns of a job that is queued from now on, with nothing against it."""
    return {
        "status": JobStatus.QUEUED,
        "queued_at": now,
        "updated_at": now,
        "started_at": None,
        "completed_at": None,
        "retry_at": None,
    } | NO_ERROR


def queued_again(now: datetime) -> dict[str, object]:
    """The columns of a job that is to be dispatched again."""
    return queued(now) | {
        "dispatch_id": None,
        "dispatched_at": None,
        "run_id": None,
        "batch_id": None,
    }


def locked(job_id: str) -> Select[Any]:
    """A job's row, held until the transaction ends."""
    return select(jobs).where(jobs.c.id == job_id).with_for_update()


def lock(connection: Connection, job_id: str) -> Job:
    """A job, held until the transaction ends; NotFoundError if there is none."""
    row = connection.execute(locked(job_id)).first()
    if row is None:
        raise NotFoundError("job", job_id, "status")
    return to_job(row)


# Built once: SQLAlchemy takes longer to build a statement than to run it.
CHANGED: Final = update(jobs).where(jobs.c.id == bindparam("of_job"))
_CHANGED_TO: Final = CHANGED.returning(jobs)


def change(connection: Connection, job_id: str, values: Mapping[str, object]) -> Job:
    """Change a job in a transaction of the caller's; returns it as it is then."""
    return to_job(connection.execute(_CHANGED_TO, {"of_job": job_id, **values}).one())


_SAME_COLUMNS: Final = [field.name for field in fields(Job) if field.name in jobs.c]
"""Fields of a job that have the name of their column."""


def to_job(row: Any) -> Job:
    """A row of the table as a job."""
    values = {name: getattr(row, name) for name in _SAME_COLUMNS}
    return Job(
        **values
        | {
            "key": PhotoKey(row.sku, row.sha256, row.theme, row.partition_key),
            "status": JobStatus(row.status),
            "object_keys": {stage: getattr(row, name) for stage, name in KEY_COLUMNS.items()},
            "error_code": None if row.error_code is None else ErrorCode(row.error_code),
            "waiting_for": row.waits_for,
            "review": None if row.review is None else Review(row.review),
            "review_reasons": tuple(row.review_reasons or ()),
        }
    )
