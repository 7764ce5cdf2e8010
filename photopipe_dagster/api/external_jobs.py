"""Jobs that an outside orchestrator brings forward: start, the four completions, and failure."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Annotated, Final, Self

from fastapi import APIRouter, Body, Depends, Query
from pydantic import ConfigDict, Field, JsonValue, field_validator

from photopipe_dagster.api.errors import GUARDED, ApiError, documented, photo_unavailable
from photopipe_dagster.api.examples import EXAMPLES
from photopipe_dagster.api.jobs import CamelModel, JobView, KnownJob
from photopipe_dagster.api.security import Scope, require
from photopipe_dagster.api.state import ApiState, State
from photopipe_dagster.core.errors import ErrorCode, JobError, NetworkError, RateLimitError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.core.stages import SPECS, STORED, Stage
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.pipeline.external import ExternalOrchestrator
from photopipe_dagster.runtime.photo_fetcher import fetch_photo
from photopipe_dagster.targets.registry import TARGETS, chosen_target

MAX_DETAILS_CHARACTERS: Final = 8192
MAX_HOLD_SECONDS: Final = 86400

CONTENT_TYPES: Final = {stage: SPECS[stage].content_type for stage in STORED}
"""What an upload to a presigned URL must declare; what it really is, is looked at later."""

_TRANSIENT: Final = frozenset(
    {
        ErrorCode.API_ERROR,
        ErrorCode.S3_ERROR,
        ErrorCode.NETWORK_ERROR,
        ErrorCode.RATE_LIMIT_ERROR,
    }
)
"""Failures that another try may fix."""

router = APIRouter(
    prefix="/api/jobs/{job_id}",
    tags=["outside orchestrators"],
    dependencies=[Depends(require(Scope.WRITE))],
    responses=GUARDED,
)

Text = Annotated[str, Field(max_length=64, pattern=r"^[ -~]+$")]
"""A name, in printable ASCII: it is kept beside the picture."""


class PresignedUrls(CamelModel):
    """Where each picture is to be PUT, with the headers that `uploadHeaders` has for it."""

    original: str
    mask: str
    background: str
    composite: str


class UploadHeaders(CamelModel):
    """Headers that each upload must carry: its URL was made for them."""

    original: dict[str, str]
    mask: dict[str, str]
    background: dict[str, str]
    composite: dict[str, str]


class Started(CamelModel):
    """A job that waits for its orchestrator. `expiresIn` is the URLs' life in seconds."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["Started"]})

    job_id: str
    status: str
    presigned_urls: PresignedUrls
    upload_headers: UploadHeaders
    expires_in: int
    held_until: datetime | None

    @classmethod
    def of(cls, job: Job, state: ApiState, hold: int) -> Self:
        """With new URLs for the pictures of the job, and of no other."""
        seconds = state.settings.s3_presigned_url_expiry
        urls = {
            stage.value: state.store.presign_put(
                job.key.object_key(stage, job.variant), seconds, content_type=content_type
            )
            for stage, content_type in CONTENT_TYPES.items()
        }
        return cls(
            job_id=job.id,
            status=job.status,
            presigned_urls=PresignedUrls(**urls),
            upload_headers=UPLOAD_HEADERS,
            expires_in=seconds,
            held_until=state.ledger.database.now() + timedelta(seconds=hold) if hold else None,
        )


class Made(CamelModel):
    """Who made a picture. Anything else may be there and is not kept."""

    model_config = ConfigDict(extra="ignore")

    provider: Text | None = None
    model: Text | None = None

    def facts(self) -> dict[str, str]:
        """What is known, by name."""
        return self.model_dump(exclude_none=True)


class PictureComplete(CamelModel):
    """A picture is stored."""

    s3_key: Annotated[str, Field(max_length=1024)]
    metadata: Made = Made()


class PaidPictureComplete(PictureComplete):
    """A picture is stored, and has cost so many USD."""

    cost: Annotated[Decimal, Field(ge=0, le=1000, max_digits=10, decimal_places=6)] = Decimal(0)


class Published(CamelModel):
    """The composite is a media of a product; the ids are the shop's own."""

    product_id: Annotated[str, Field(max_length=128)]
    media_id: Annotated[str, Field(max_length=128)]

    def check(self, settings: Settings) -> None:
        """See whether a shop of the configured kind has such ids.

        Raises:
            ApiError: It has not.
        """
        shop = chosen_target(settings) or TARGETS.get("shopify")  # the route's, in every contract
        for name, value, pattern in (
            ("productId", self.product_id, shop.product_id),
            ("mediaId", self.media_id, shop.media_id),
        ):
            if not re.fullmatch(pattern, value):
                raise ApiError(422, "validation_error", f"{name}: should match {pattern}.")


class Failed(CamelModel):
    """Why a job failed.

    `retryable` says whether the pipeline retries it automatically; where it is not given, the
    code says it.
    """

    error_code: ErrorCode
    error_message: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]
    error_details: dict[str, JsonValue] = Field(default_factory=dict)
    retryable: bool | None = None

    @field_validator("error_details")
    @classmethod
    def _bounded(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        written = json.dumps(value)
        if len(written) > MAX_DETAILS_CHARACTERS or "\\u0000" in written:
            raise ValueError(f"has at most {MAX_DETAILS_CHARACTERS} characters as JSON, and no NUL")
        return value

    def error(self) -> JobError:
        """As the ledger takes it."""
        retryable = self.error_code in _TRANSIENT if self.retryable is None else self.retryable
        return JobError(
            self.error_message,
            details=self.error_details,
            code=self.error_code,
            retryable=retryable,
        )


UPLOAD_HEADERS: Final = UploadHeaders(
    **{stage.value: {"Content-Type": kind} for stage, kind in CONTENT_TYPES.items()}
)


async def _orchestrator(state: State) -> ExternalOrchestrator:
    return ExternalOrchestrator(
        state.settings,
        state.ledger,
        state.store,
        state.lineage.report,
        partial(_fetched, state.settings),
    )


def _fetched(settings: Settings, ref: str) -> bytes:
    try:
        return asyncio.run(fetch_photo(settings, ref))
    except (NetworkError, RateLimitError) as error:
        raise photo_unavailable(error) from None


async def _hold(
    state: State,
    hold: Annotated[
        int | None,
        Query(
            ge=0,
            le=MAX_HOLD_SECONDS,
            description="Seconds that the job waits for your next call before the pipeline takes "
            "it over; 0: it takes over at once. EXTERNAL_LEASE_SECONDS where it is not given.",
        ),
    ] = None,
) -> int:
    return state.settings.external_lease_seconds if hold is None else hold


_Orchestrator = Annotated[ExternalOrchestrator, Depends(_orchestrator)]
_Hold = Annotated[int, Depends(_hold)]


async def _completing(
    job: KnownJob, outside: _Orchestrator, hold: _Hold
) -> Callable[[Stage, PictureComplete], JobView]:
    def complete(stage: Stage, told: PictureComplete) -> JobView:
        cost = told.cost if isinstance(told, PaidPictureComplete) else Decimal(0)
        facts = told.metadata.facts()
        return JobView.of(
            outside.complete(job, stage, told.s3_key, cost=cost, facts=facts, hold=hold)
        )

    return complete


_Complete = Annotated[Callable[[Stage, PictureComplete], JobView], Depends(_completing)]


@router.post("/start", responses=documented(404, 409))
def start_job(job: KnownJob, state: State, outside: _Orchestrator, hold: _Hold) -> Started:
    """Take a job up, and get the URLs to upload its pictures to.

    The pipeline leaves the job alone while you hold it, and goes on from wherever you stop. A job
    that it is at work on already, or that is DONE, is a 409.

    With `hold=0` the pipeline does all of it, and you only ask how the job is. The answer has the
    same shape: `heldUntil` is null, and the URLs are there but not needed.
    """
    return Started.of(outside.start(job.id, hold), state, hold)


@router.post("/segmentation", responses=documented(404, 409))
def segmentation_complete(
    complete: _Complete,
    told: Annotated[PaidPictureComplete, Body(examples=[EXAMPLES["segmentation_complete"]])],
) -> JobView:
    """Tell that the cut-out is stored: a PNG with transparency, of the photo's shape.

    The photo itself is fetched from where it was announced, unless you have uploaded it.
    """
    return complete(Stage.MASK, told)


@router.post("/backgrounds", responses=documented(404, 409))
def background_complete(
    complete: _Complete,
    told: Annotated[PaidPictureComplete, Body(examples=[EXAMPLES["background_complete"]])],
) -> JobView:
    """Tell that the background is stored."""
    return complete(Stage.BACKGROUND, told)


@router.post("/composite", responses=documented(404, 409))
def composite_complete(
    complete: _Complete,
    told: Annotated[PictureComplete, Body(examples=[EXAMPLES["composite_complete"]])],
) -> JobView:
    """Tell that the composite is stored."""
    return complete(Stage.COMPOSITE, told)


@router.post("/shopify", responses=documented(404, 409))
def shopify_complete(
    job: KnownJob,
    state: State,
    outside: _Orchestrator,
    told: Annotated[Published, Body(examples=[EXAMPLES["shopify_complete"]])],
) -> JobView:
    """Tell that the composite stands on its product: the job is DONE."""
    told.check(state.settings)
    return JobView.of(outside.published(job, told.product_id, told.media_id))


@router.post("/fail", responses=documented(404, 409))
def fail_job(
    job: KnownJob,
    outside: _Orchestrator,
    told: Annotated[Failed, Body(examples=[EXAMPLES["fail_job"]])],
) -> JobView:
    """Tell that a job failed. Where another try may help, the pipeline makes it."""
    return JobView.of(outside.fail(job, told.error()))
