"""Photos that come with a request, or by an upload to a signed URL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal, Self

from fastapi import APIRouter, Depends, File, Form, Response, UploadFile
from pydantic import ConfigDict, Field

from photopipe_dagster.api.body_limit import read_upload
from photopipe_dagster.api.errors import GUARDED, documented
from photopipe_dagster.api.examples import EXAMPLES
from photopipe_dagster.api.idempotency import Idempotent, IdempotentRoute
from photopipe_dagster.api.jobs import CamelModel, JobView
from photopipe_dagster.api.money import Estimate, MaxCost, OverBudget, require_affordable
from photopipe_dagster.api.security import Scope, require
from photopipe_dagster.api.state import ApiState, State
from photopipe_dagster.core.photo import MAX_SKU_CHARACTERS, PhotoKey, Stage
from photopipe_dagster.ledger.jobs.intake import Submission
from photopipe_dagster.operations import photos

_NO_NUL: Final = r"^[^\x00]*$"

Sku = Annotated[str, Field(min_length=1, max_length=MAX_SKU_CHARACTERS, pattern=_NO_NUL)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
ThemeName = Annotated[str, Field(max_length=64, pattern=_NO_NUL)]

router = APIRouter(
    prefix="/api",
    tags=["photos"],
    dependencies=[Depends(require(Scope.WRITE))],
    responses=GUARDED,
    route_class=IdempotentRoute,
)


class PhotoToPrice(CamelModel):
    """A photo by its digest and size in pixels; the default theme where there is none."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["PhotoToPrice"]})

    sku: Sku
    sha256: Sha256
    width: Annotated[int, Field(ge=1, le=100_000)]
    height: Annotated[int, Field(ge=1, le=100_000)]
    themes: Annotated[tuple[ThemeName, ...], Field(max_length=64)] = ()


class UploadWish(CamelModel):
    """A photo that is to be uploaded."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["UploadWish"]})

    sku: Sku
    sha256: Sha256
    content_type: Literal["image/jpeg", "image/png", "image/webp"] = "image/jpeg"


class Upload(CamelModel):
    """Where a photo is to be PUT, with the headers that the URL was made for.

    `stored` says that the photo is there already: leave the upload out.
    """

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["Upload"]})

    url: str
    upload_headers: dict[str, str]
    expires_in: int
    expires_at: datetime
    stored: bool


class UploadedPhoto(CamelModel):
    """A photo that was uploaded; the default theme where there is none."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["UploadedPhoto"]})

    sku: Sku
    sha256: Sha256
    themes: Annotated[tuple[ThemeName, ...], Field(max_length=64)] = ()
    max_cost: MaxCost = None
    over_budget: OverBudget = OverBudget.WAIT


class SubmittedJob(CamelModel):
    """A job, and whether it is new."""

    created: bool
    job: JobView


class SubmittedPhoto(CamelModel):
    """The jobs of a photo, one a theme, and what they cost at most."""

    sha256: str
    jobs: list[SubmittedJob]
    estimate: Estimate

    @classmethod
    def of(cls, sha256: str, submitted: list[Submission], estimate: Estimate) -> Self:
        """Of what was submitted."""
        jobs = [SubmittedJob(created=each.created, job=JobView.of(each.job)) for each in submitted]
        return cls(sha256=sha256, jobs=jobs, estimate=estimate)


@router.post("/photos/estimate")
def estimate_photo(state: State, photo: PhotoToPrice) -> Estimate:
    """Say what a photo would cost in each theme. Begins nothing."""
    keys = photos.keys_of(photo.sku, photo.sha256, photo.themes, state.themes)
    return _estimate(state, keys, (photo.width, photo.height))


@router.post(
    "/photos",
    status_code=201,
    responses={200: {"model": SubmittedPhoto}, **documented(409)},
    dependencies=[Idempotent],
)
def submit_photo(
    state: State,
    response: Response,
    file: Annotated[UploadFile, File(description="JPEG, PNG or WebP.")],
    sku: Annotated[Sku, Form()],
    theme: Annotated[list[ThemeName] | None, Form(max_length=64)] = None,
    max_cost: Annotated[MaxCost, Form(alias="maxCost")] = None,
    over_budget: Annotated[OverBudget, Form(alias="overBudget")] = OverBudget.WAIT,
) -> SubmittedPhoto:
    """Put a photo into the pipeline, in one theme or several: repeat `theme`.

    201 where a job is new, 200 where all were there. It is paid for when the pipeline comes to it;
    the answer says what it costs at most. `maxCost` is in USD: what would cost more is a 409.
    """
    data = read_upload(file, state.settings.image_max_bytes)
    photo = photos.Photo.read(data, state.settings)
    return _submitted(state, response, photo, sku, theme or (), max_cost, over_budget)


@router.post("/uploads")
def request_upload(state: State, wish: UploadWish) -> Upload:
    """Get a URL to PUT a photo to; then tell of it with `/api/photos/uploaded`."""
    key = PhotoKey(wish.sku, wish.sha256, state.themes.default).object_key(Stage.ORIGINAL)
    seconds = state.settings.s3_presigned_url_expiry
    now = datetime.now(UTC).replace(microsecond=0)
    return Upload(
        url=state.store.presign_put(key, seconds, content_type=wish.content_type),
        upload_headers={"Content-Type": wish.content_type},
        expires_in=seconds,
        expires_at=now + timedelta(seconds=seconds),
        stored=state.store.head(key) is not None,
    )


@router.post(
    "/photos/uploaded",
    status_code=201,
    responses={200: {"model": SubmittedPhoto}, **documented(409)},
    dependencies=[Idempotent],
)
def submit_uploaded(state: State, response: Response, told: UploadedPhoto) -> SubmittedPhoto:
    """Put a photo into the pipeline that was uploaded; as `/api/photos` with the photo itself."""
    photo = photos.uploaded_photo(
        state.settings, state.store, told.sku, told.sha256, state.themes.default
    )
    return _submitted(
        state, response, photo, told.sku, told.themes, told.max_cost, told.over_budget
    )


def _submitted(
    state: ApiState,
    response: Response,
    photo: photos.Photo,
    sku: str,
    themes: Sequence[str],
    max_cost: Decimal | None,
    over_budget: OverBudget,
) -> SubmittedPhoto:
    keys = photos.keys_of(sku, photo.sha256, themes, state.themes)
    estimate = _estimate(state, keys, photo.size)
    require_affordable(state.ledger, estimate.total_usd, max_cost=max_cost, over_budget=over_budget)
    submitted = photos.submit_photo(state.ledger, state.store, keys, photo)
    if not any(each.created for each in submitted):
        response.status_code = 200
    return SubmittedPhoto.of(photo.sha256, submitted, estimate)


def _estimate(state: ApiState, keys: list[PhotoKey], size: tuple[int, int]) -> Estimate:
    found = photos.estimate_photo(state.settings, state.ledger, state.store, keys, size)
    return Estimate.of(state.ledger, found)
