"""What a person decides of a job: the same as on its page and in the review."""

from __future__ import annotations

from typing import Annotated, Self

from fastapi import APIRouter, Depends, File, UploadFile
from pydantic import Field

from photopipe_dagster.api.body_limit import read_upload
from photopipe_dagster.api.errors import GUARDED, ApiError, documented
from photopipe_dagster.api.idempotency import Idempotent, IdempotentRoute
from photopipe_dagster.api.jobs import CamelModel, JobView, KnownJob
from photopipe_dagster.api.money import Estimate, MaxCost, OverBudget, require_affordable
from photopipe_dagster.api.photos import SubmittedJob, ThemeName
from photopipe_dagster.api.security import Editor, Scope, require
from photopipe_dagster.api.state import State
from photopipe_dagster.imaging.retouch import MAX_OPERATIONS, Operation
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.reviews import MAX_NOTE_CHARACTERS
from photopipe_dagster.operations import decisions, photos
from photopipe_dagster.targets.registry import chosen_target, no_target

Note = Annotated[str, Field(max_length=MAX_NOTE_CHARACTERS, pattern=r"^[^\x00]*$")]
Digest = Annotated[str | None, Field(max_length=64)]

router = APIRouter(
    prefix="/api/jobs/{job_id}",
    tags=["decisions"],
    dependencies=[Depends(require(Scope.WRITE))],
    responses={**GUARDED, **documented(404, 409)},
    route_class=IdempotentRoute,
)


class Approval(CamelModel):
    """`reviewDigest` of the job as you saw it: if another picture waits since, it is a 409."""

    review_digest: Digest = None
    note: Note = ""


class Rejection(CamelModel):
    """As `Approval`, with the reason, which the job keeps."""

    review_digest: Digest = None
    reason: Annotated[Note, Field(min_length=1)]


class AnotherBackground(CamelModel):
    """Another background; `maxCost` is in USD."""

    note: Note = ""
    max_cost: MaxCost = None
    over_budget: OverBudget = OverBudget.WAIT


class AnotherTheme(CamelModel):
    """The same photo in another theme; `maxCost` is in USD."""

    theme: ThemeName
    max_cost: MaxCost = None
    over_budget: OverBudget = OverBudget.WAIT


class JobInTheme(SubmittedJob):
    """The job in the other theme, and what it costs at most."""

    estimate: Estimate


class TakenOff(CamelModel):
    """What became of the picture on the product: ids of media that were taken off, of the one that
    is back in its place, and of one that could not come back."""

    job: JobView
    taken: list[str]
    restored: str | None
    lost: str | None


class Strokes(CamelModel):
    """What a person has done to a cut-out, and its `digest`: SHA-256 of the PNG of `mask`."""

    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    operations: Annotated[tuple[Operation, ...], Field(max_length=MAX_OPERATIONS)]


class RemadeJobs(CamelModel):
    """Jobs whose pictures are made again with the repaired cut-out, the one asked for first."""

    jobs: list[JobView]

    @classmethod
    def of(cls, remade: list[Job]) -> Self:
        """Of what the ledger has."""
        return cls(jobs=[JobView.of(job) for job in remade])


@router.post("/approve")
def approve(job: KnownJob, state: State, caller: Editor, told: Approval | None = None) -> JobView:
    """Publish the picture that waits for a person."""
    told = told or Approval()
    if told.review_digest is not None:
        decisions.require_seen(job, told.review_digest)
    return JobView.of(state.ledger.reviews.approve(job.id, by=caller.name, note=told.note))


@router.post("/reject")
def reject(job: KnownJob, state: State, caller: Editor, told: Rejection) -> JobView:
    """Do not publish the picture that waits for a person."""
    if told.review_digest is not None:
        decisions.require_seen(job, told.review_digest)
    return JobView.of(state.ledger.reviews.reject(job.id, by=caller.name, reason=told.reason))


@router.post("/cancel")
def cancel(job: KnownJob, state: State, caller: Editor) -> JobView:
    """Stop a job that no run works on. `retry` lets it go on."""
    return JobView.of(state.ledger.transitions.cancel(job.id, by=caller.name))


@router.post("/publish", dependencies=[Idempotent])
def publish(job: KnownJob, state: State) -> JobView:
    """Put the picture of a DONE job on its product again.

    What is made already is not paid again.
    """
    return JobView.of(state.ledger.transitions.publish_again(job.id))


@router.post("/unpublish", responses=documented(422, 502))
async def unpublish(job: KnownJob, state: State) -> TakenOff:
    """Take the picture off its product; what it replaced comes back in its place."""
    if chosen_target(state.settings) is None:
        raise ApiError(409, "no_shop", str(no_target()))
    done = await decisions.take_off(state.settings, state.ledger, job.id)
    return TakenOff(
        job=JobView.of(state.ledger.jobs.require(job.id)),
        taken=list(done.taken),
        restored=done.restored,
        lost=done.lost,
    )


@router.get("/another-background")
def price_another_background(job: KnownJob, state: State) -> Estimate:
    """Say what another background costs. Begins nothing."""
    found = photos.estimate_again(state.settings, state.ledger, state.store, job)
    return Estimate.of(state.ledger, [found])


@router.post("/another-background", dependencies=[Idempotent])
def another_background(
    job: KnownJob, state: State, caller: Editor, told: AnotherBackground | None = None
) -> JobView:
    """Have another background made, and paid for; the cut-out stays.

    A person looks at the picture before it is published.
    """
    told = told or AnotherBackground()
    if told.max_cost is not None or told.over_budget is OverBudget.REFUSE:
        total = photos.estimate_again(state.settings, state.ledger, state.store, job).total
        require_affordable(
            state.ledger, total, max_cost=told.max_cost, over_budget=told.over_budget
        )
    made = state.ledger.reviews.another_background(job.id, by=caller.name, note=told.note)
    return JobView.of(made)


@router.post("/cutout/repair")
def repair_cutout(job: KnownJob, state: State, caller: Editor, told: Strokes) -> RemadeJobs:
    """Repair the cut-out by strokes and clicks.

    The pictures of the photo that were published or wait, in all themes, are made again, and a
    person sees each before it is published. Nothing is bought for a photo that has its background.
    """
    opened = state.cutouts.get(job, told.digest)
    remade = state.cutouts.repairs.repair(job, opened, told.operations, by=caller.name)
    return RemadeJobs.of(remade)


@router.post("/cutout/upload", responses=documented(413))
def upload_cutout(
    job: KnownJob,
    state: State,
    caller: Editor,
    file: Annotated[UploadFile, File(description="PNG of the whole photo, with transparency.")],
) -> RemadeJobs:
    """Use a cut-out that was made with another program; else as `repair`."""
    data = read_upload(file, state.settings.image_max_bytes)
    return RemadeJobs.of(state.cutouts.repairs.upload(job, data, by=caller.name))


@router.post("/cutout/undo")
def undo_repair(job: KnownJob, state: State, caller: Editor) -> RemadeJobs:
    """Take the last repair back: the cut-out before it is in use again."""
    return RemadeJobs.of(state.cutouts.repairs.undo(job, by=caller.name))


@router.post("/another-theme", status_code=201, dependencies=[Idempotent])
def another_theme(job: KnownJob, state: State, told: AnotherTheme) -> JobInTheme:
    """Have the photo made in another theme too: a job of its own, and paid for.

    `/api/photos/estimate` says the price before. A theme that the photo has already is a job
    that is not `created`, and costs nothing.
    """
    found = photos.estimate_again(state.settings, state.ledger, state.store, job, theme=told.theme)
    require_affordable(
        state.ledger, found.total, max_cost=told.max_cost, over_budget=told.over_budget
    )
    submitted = photos.in_theme(state.ledger, state.themes, job, told.theme)
    return JobInTheme(
        created=submitted.created,
        job=JobView.of(submitted.job),
        estimate=Estimate.of(state.ledger, [found]),
    )
