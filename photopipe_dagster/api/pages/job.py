"""One job: its pictures, its way, its costs and checks, and what can be done with it."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Response
from starlette.concurrency import run_in_threadpool

from photopipe_dagster.api.errors import ApiError
from photopipe_dagster.api.jobs import KnownJob, PictureKind
from photopipe_dagster.api.pages.rendering import PageRoute, Visitor, see_other
from photopipe_dagster.api.security import Writer
from photopipe_dagster.api.state import State
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger.jobs.model import Job, can_cancel, can_retry
from photopipe_dagster.ledger.jobs.statuses import AT_REST, JobStatus, Review
from photopipe_dagster.operations import decisions
from photopipe_dagster.operations.repairs import can_repair
from photopipe_dagster.operations.routes import explain_routes
from photopipe_dagster.quality.results import from_record
from photopipe_dagster.runtime.advice import explain
from photopipe_dagster.targets.base import Withdrawn
from photopipe_dagster.targets.registry import chosen_target, no_target

router = APIRouter(route_class=PageRoute)


@router.get("/jobs/{job_id}")
def job_page(visit: Visitor, job: KnownJob) -> Response:
    """Everything about a job."""
    ledger, settings = visit.state.ledger, visit.state.settings
    at_rest = job.status in AT_REST
    return visit.page(
        "job.html",
        job=job,
        titles=visit.titles([job]),
        steps=ledger.steps.of_job(job.id),
        spending=ledger.spending.of_job(job.id),
        routes=explain_routes(settings, ledger, job),
        checks=from_record(job.quality),
        why=explain(job, ledger),
        others=ledger.jobs.of_photo(job),
        lineage=lineage_url(settings, job),
        run=f"{_dagster(settings)}/runs/{job.run_id}" if job.run_id else None,
        target=chosen_target(settings),
        product_url=product_url(settings, job.product_id),
        can_retry=can_retry(job),
        can_cancel=can_cancel(job),
        can_have_background=job.review is Review.WAITING
        or (at_rest and job.object_keys[Stage.MASK] is not None),
        can_repair=can_repair(job),
        can_publish=job.status is JobStatus.DONE and job.media_id is None,
        can_unpublish=at_rest and job.media_id is not None,
        under_way=not at_rest and job.review is not Review.WAITING,
    )


@router.get("/jobs/{job_id}/pictures/{picture}")
def picture_page(visit: Visitor, job: KnownJob, picture: PictureKind) -> Response:
    """One picture of a job, as large as the window."""
    stage = Stage(picture.value)
    if job.object_keys[stage] is None:
        raise ApiError(404, "not_stored", f"The {picture.value} of this job is not stored yet.")
    stages = [Stage(kind.value) for kind in PictureKind]
    return visit.page("picture.html", job=job, stage=stage, stages=stages)


@router.post("/jobs/{job_id}/retry")
def retry(caller: Writer, job: KnownJob, state: State) -> Response:
    """Let a job go on that failed, or that a person stopped."""
    state.ledger.transitions.retry(job.id)
    said = "retried"
    if job.waiting_for is not None:
        # Of the budget there is no breaker: it is not asked, it is there or not.
        asked = state.ledger.breakers.ask_now(job.waiting_for)
        said = "service_asked" if asked else "retried_later"
    return see_other(f"/jobs/{job.id}", said)


@router.post("/jobs/{job_id}/cancel")
def cancel(caller: Writer, job: KnownJob, state: State) -> Response:
    """Stop a job that no run works on."""
    state.ledger.transitions.cancel(job.id, by=caller.name)
    return see_other(f"/jobs/{job.id}", "cancelled")


@router.post("/jobs/{job_id}/background")
def another_background(
    caller: Writer,
    job: KnownJob,
    state: State,
    note: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Have another background made."""
    state.ledger.reviews.another_background(job.id, by=caller.name, note=note)
    return see_other(f"/jobs/{job.id}", "background")


@router.post("/jobs/{job_id}/publish")
def publish_again(caller: Writer, job: KnownJob, state: State) -> Response:
    """Put a picture that was taken off on its product again."""
    state.ledger.transitions.publish_again(job.id)
    return see_other(f"/jobs/{job.id}", "published_again")


@router.post("/jobs/{job_id}/unpublish")
async def take_off(caller: Writer, job: KnownJob, state: State) -> Response:
    """Take the picture off its product."""
    if chosen_target(state.settings) is None:
        raise ApiError(409, "no_shop", str(no_target()))
    done = await decisions.take_off(state.settings, state.ledger, job.id)
    return await run_in_threadpool(see_other, f"/jobs/{job.id}", _told(done))


def product_url(settings: Settings, product_id: str | None) -> str | None:
    """The product in the shop's own administration; ``None`` where that has no address for it."""
    target = chosen_target(settings)
    if target is None or product_id is None:
        return None
    return target.product_url(settings, product_id)


def lineage_url(settings: Settings, job: Job) -> str:
    """Dagster's page of what was made for a job, and of what."""
    partition = quote(job.key.partition_key, safe="")
    asset = Stage.COMPOSITE.value
    return f"{_dagster(settings)}/assets/{asset}?view=partitions&partition={partition}"


def _dagster(settings: Settings) -> str:
    return settings.dagster_ui_url.rstrip("/")


def _told(done: Withdrawn) -> str:
    if not done.taken:
        return "nothing_published"
    if done.restored is not None:
        return "unpublished_restored"
    return "unpublished_lost" if done.lost is not None else "unpublished"
