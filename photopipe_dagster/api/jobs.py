"""Jobs over HTTP: look, count, try again, and get at their pictures."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel

from photopipe_dagster.api.errors import GUARDED, ApiError, documented
from photopipe_dagster.api.examples import EXAMPLES
from photopipe_dagster.api.security import Scope, require
from photopipe_dagster.api.state import State
from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.core.photo import MAX_SKU_CHARACTERS, Stage
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.queries import JobQuery, JobStats
from photopipe_dagster.ledger.jobs.statuses import DECIDED, JobStatus, Review

Limit = Annotated[int, Query(ge=1, le=100)]
"""How many rows a page of a list has, in all lists."""

Offset = Annotated[int, Query(ge=0, le=2**31 - 1)]
"""How many rows come before a page."""

MAX_EXPIRY: Final = 604800
"""Seconds: S3's own limit for signed URLs, a week."""

_CENT = Decimal("0.01")
_NO_NUL = r"^[^\x00]*$"

Usd = Annotated[Decimal, PlainSerializer(float, return_type=float)]
"""Summed as decimals, written as a JSON number: 0.07, never 0.07000000000000001."""


class PublicStatus(StrEnum):
    """Where a job is. What a person stopped or rejected is FAILED, and `decision` says which."""

    NEW = "NEW"
    QUEUED = "QUEUED"
    SEGMENTING = "SEGMENTING"
    BG_GENERATING = "BG_GENERATING"
    COMPOSITING = "COMPOSITING"
    SHOPIFY_PUSH = "SHOPIFY_PUSH"
    DONE = "DONE"
    FAILED = "FAILED"

    @classmethod
    def of(cls, status: JobStatus) -> Self:
        """How a status of the ledger reads for outsiders, whose programs know these eight."""
        return cls(JobStatus.FAILED if status in DECIDED else status)

    @property
    def statuses(self) -> tuple[JobStatus, ...]:
        """The statuses of the ledger that read like this."""
        return tuple(status for status in JobStatus if self.of(status) is self)


class Decision(StrEnum):
    """What a person decided of a job that has not failed by itself."""

    CANCELLED = "cancelled"
    REJECTED = "rejected"


_DECISIONS: Final = {
    JobStatus.CANCELLED: (Decision.CANCELLED, ErrorCode.VALIDATION_ERROR),
    JobStatus.REJECTED: (Decision.REJECTED, ErrorCode.COMPOSITE_ERROR),
}
"""What a person decided, and the error code that clients have always been told for it."""

router = APIRouter(
    prefix="/api/jobs",
    tags=["jobs"],
    dependencies=[Depends(require(Scope.READ))],
    responses=GUARDED,
)


class CamelModel(BaseModel):
    """JSON whose names are in camel case."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class ObjectKeys(CamelModel):
    """Where the pictures of a job are; null until they are stored."""

    original: str | None
    mask: str | None
    background: str | None
    composite: str | None


class Costs(CamelModel):
    """What a job has cost, USD."""

    segmentation: Usd
    background: Usd
    total: Usd


class JobView(CamelModel):
    """A job."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["JobView"]})

    id: str
    sku: str
    sha256: str
    theme: str
    status: PublicStatus
    decision: Decision | None
    created_at: datetime
    updated_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    failed_at: datetime | None
    s3_keys: ObjectKeys
    shopify_product_id: str | None
    shopify_media_id: str | None
    costs: Costs
    error_code: ErrorCode | None
    error_message: str | None
    error_details: Mapping[str, Any] | None
    retry_count: int
    retry_at: datetime | None
    review: Review | None
    review_reasons: list[str]
    review_digest: str | None
    reviewed_by: str | None
    variant: int

    @classmethod
    def of(cls, job: Job) -> Self:
        """What outsiders see of a job: neither its photo's URL, which may be signed, nor runs."""
        same = {name: getattr(job, name) for name in cls.model_fields if hasattr(job, name)}
        named = {
            "sku": job.key.sku,
            "sha256": job.key.sha256,
            "theme": job.key.theme,
            "shopify_product_id": job.product_id,
            "shopify_media_id": job.media_id,
        }
        return cls(
            **{**same, **named, **_ending(job)},
            s3_keys=ObjectKeys(**{stage.value: key for stage, key in job.object_keys.items()}),
            costs=Costs(
                segmentation=job.segmentation_cost,
                background=job.background_cost,
                total=job.total_cost,
            ),
        )


def _ending(job: Job) -> dict[str, Any]:
    """A job's status, and why it ended: what a person decided looks like a failure, as it did."""
    decision, code = _DECISIONS.get(job.status, (None, job.error_code))
    return {
        "status": PublicStatus.of(job.status),
        "decision": decision,
        "failed_at": job.failed_at if decision is None else job.cancelled_at or job.reviewed_at,
        "error_code": code,
        "error_message": job.decision or job.error_message,
        "error_details": job.error_details if decision is None else {"kind": decision.value},
    }


class JobList(CamelModel):
    """A page of jobs, newest first. `nextCursor` leads to the next one, null at the end."""

    jobs: list[JobView]
    total: int
    limit: int
    offset: int
    next_cursor: str | None


class Stats(CamelModel):
    """Counts and costs over all jobs.

    `averageCost` is USD a job, rounded to cents. `byStatus` counts as FAILED what a person stopped
    or rejected, and `byDecision` says how many those are. `successRate` is the share of DONE among
    DONE and FAILED without them, in percent with one decimal; 0 while there is neither.
    """

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["Stats"]})

    total: int
    by_status: dict[PublicStatus, int]
    by_decision: dict[Decision, int]
    total_cost: Usd
    average_cost: Usd
    success_rate: Usd

    @classmethod
    def of(cls, stats: JobStats) -> Self:
        """From the ledger's figures."""
        counts = stats.by_status
        done = counts[JobStatus.DONE]
        ended = done + counts[JobStatus.FAILED]
        return cls(
            total=stats.total,
            by_status={
                public: sum(counts[status] for status in public.statuses) for public in PublicStatus
            },
            by_decision={decision: counts[status] for status, (decision, _) in _DECISIONS.items()},
            total_cost=stats.total_cost,
            average_cost=_ratio(stats.total_cost, stats.total, _CENT),
            success_rate=_ratio(Decimal(100 * done), ended, Decimal("0.1")),
        )


class PictureKind(StrEnum):
    """Pictures of a job that can be downloaded."""

    ORIGINAL = Stage.ORIGINAL.value
    MASK = Stage.MASK.value
    BACKGROUND = Stage.BACKGROUND.value
    COMPOSITE = Stage.COMPOSITE.value


class SignedUrl(CamelModel):
    """A URL that can be used by anyone who has it, until it expires.

    `stored` says whether the picture is there already; until it is, the URL leads to a 404.
    """

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["SignedUrl"]})

    url: str
    expires_in: int
    expires_at: datetime
    stored: bool


def _known_job(job_id: str, state: State) -> Job:
    # An id of another form is unknown, and not every database likes every character.
    plain = len(job_id) == 16 and job_id.isascii() and job_id.isprintable()
    job = state.ledger.jobs.get(job_id) if plain else None
    if job is None:
        raise ApiError(404, "not_found", "There is no job with this id.")
    return job


KnownJob = Annotated[Job, Depends(_known_job)]
"""The job that a route's path names; 404 where there is none."""


@router.get("", responses=documented(422))
def list_jobs(
    state: State,
    status: Annotated[PublicStatus | None, Query()] = None,
    sku: Annotated[str | None, Query(max_length=MAX_SKU_CHARACTERS, pattern=_NO_NUL)] = None,
    theme: Annotated[str | None, Query(max_length=64, pattern=_NO_NUL)] = None,
    sku_part: Annotated[
        str | None,
        Query(
            alias="skuContains",
            min_length=1,
            max_length=MAX_SKU_CHARACTERS,
            pattern=_NO_NUL,
            description="A part of the SKU, in any case.",
        ),
    ] = None,
    review: Annotated[Review | None, Query()] = None,
    created_from: Annotated[AwareDatetime | None, Query(alias="createdFrom")] = None,
    created_before: Annotated[AwareDatetime | None, Query(alias="createdBefore")] = None,
    limit: Limit = 50,
    offset: Offset = 0,
    cursor: Annotated[
        str | None,
        Query(
            max_length=200,
            description="`nextCursor` of the page before. Unlike `offset` it neither repeats nor "
            "leaves out a job when others come in meanwhile.",
        ),
    ] = None,
) -> JobList:
    """List jobs, newest first."""
    which = JobQuery(
        () if status is None else status.statuses,
        sku=sku,
        theme=theme,
        sku_part=sku_part,
        review=review,
        created_from=created_from,
        created_before=created_before,
        after=None if cursor is None else _place(cursor),
    )
    found = state.ledger.jobs.find(which, limit=limit + 1, offset=offset)
    return JobList(
        jobs=[JobView.of(job) for job in found[:limit]],
        total=state.ledger.jobs.count(which),
        limit=limit,
        offset=offset,
        next_cursor=_cursor(found[limit - 1]) if len(found) > limit else None,
    )


@router.get("/stats")
def job_stats(state: State) -> Stats:
    """Count jobs and costs."""
    return Stats.of(state.ledger.jobs.stats())


@router.get("/{job_id}", responses=documented(404))
def show_job(job: KnownJob) -> JobView:
    """Show a job."""
    return JobView.of(job)


@router.post(
    "/{job_id}/retry",
    responses=documented(404, 409),
    dependencies=[Depends(require(Scope.WRITE))],
)
def retry_job(job: KnownJob, state: State) -> JobView:
    """Let a FAILED job go on now, however often that was done. It is queued within seconds."""
    return JobView.of(state.ledger.transitions.retry(job.id))


@router.get("/{job_id}/presign", responses=documented(404, 422))
def presign(
    job: KnownJob,
    state: State,
    picture: Annotated[PictureKind, Query(alias="type")],
    expires_in: Annotated[int | None, Query(alias="expiresIn", ge=1, le=MAX_EXPIRY)] = None,
) -> SignedUrl:
    """Make a URL from which a picture of a job can be downloaded without further ado.

    `expiresIn` is in seconds, `S3_PRESIGNED_URL_EXPIRY` where it is not given.
    """
    stage = Stage(picture.value)
    stored = job.object_keys[stage]
    # Where it will be, where it is not: keys are known before there are pictures.
    key = stored or job.key.object_key(stage, job.variant)
    seconds = expires_in or state.settings.s3_presigned_url_expiry
    now = datetime.now(UTC).replace(microsecond=0)
    return SignedUrl(
        url=state.store.presign_get(key, seconds),
        expires_in=seconds,
        expires_at=now + timedelta(seconds=seconds),
        stored=stored is not None,
    )


def _cursor(job: Job) -> str:
    """Stands for the place of a job in a list."""
    place = f"{job.created_at.isoformat()} {job.id}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[datetime, str]:
    """Creation and id of the job that a cursor stands for."""
    try:
        written = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        moment, _, job_id = written.partition(" ")
        created_at = datetime.fromisoformat(moment).astimezone(UTC)
    except (ValueError, OverflowError):
        job_id = ""
    if not (job_id.isascii() and job_id.isalnum()):
        raise ApiError(422, "validation_error", "cursor: is not one of a list of jobs.")
    return created_at, job_id


def _ratio(amount: Decimal, count: int, unit: Decimal) -> Decimal:
    return (amount / count if count else Decimal(0)).quantize(unit, ROUND_HALF_UP)
