"""The review: pictures that wait for a person, one after another."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from fastapi import APIRouter, Form, Response

from photopipe_dagster.api.jobs import KnownJob
from photopipe_dagster.api.pages.rendering import PageRoute, Visitor, see_other
from photopipe_dagster.api.security import Writer
from photopipe_dagster.api.state import State
from photopipe_dagster.core.errors import InvalidTransitionError
from photopipe_dagster.ledger.jobs.reviews import MAX_NOTE_CHARACTERS
from photopipe_dagster.ledger.jobs.statuses import Review
from photopipe_dagster.operations import decisions
from photopipe_dagster.operations.repairs import can_repair
from photopipe_dagster.quality.results import from_record

IN_SIGHT: Final = 24
"""Waiting pictures that are shown in a row; the others come when these are decided."""

REASONS: Final = (
    "The cut-out is not clean",
    "Part of the product is missing",
    "Product placement is off",
    "Background doesn't fit",
    "Source photo is unusable",
)
"""What is often said when a picture is rejected."""

router = APIRouter(route_class=PageRoute)


class ReviewDecision(StrEnum):
    """What a person says of a picture."""

    APPROVE = "approve"
    REJECT = "reject"
    BACKGROUND = "background"


@router.get("/review")
def review_page(visit: Visitor, at: str = "") -> Response:
    """The picture that waits longest, or the one at hand.

    Args:
        at: Id of a job.
    """
    waiting = visit.state.ledger.reviews.waiting(limit=IN_SIGHT)
    place = next((number for number, job in enumerate(waiting) if job.id == at), 0)
    job = waiting[place] if waiting else None
    return visit.page(
        "review.html",
        jobs=waiting,
        titles=visit.titles(waiting),
        job=job,
        place=place,
        can_repair=job is not None and can_repair(job),
        checks=from_record(job.quality) if job is not None else (),
        before=waiting[place - 1].id if place > 0 else None,
        after=waiting[place + 1].id if place + 1 < len(waiting) else None,
        reasons=REASONS,
        max_note=MAX_NOTE_CHARACTERS,
    )


@router.post("/review/{job_id}")
def decide(
    caller: Writer,
    job: KnownJob,
    state: State,
    decision: Annotated[ReviewDecision, Form()],
    digest: Annotated[str, Form(max_length=64)] = "",
    reason: Annotated[str, Form(max_length=MAX_NOTE_CHARACTERS)] = "",
    after: Annotated[str, Form(max_length=16, pattern="^[a-z0-9]*$")] = "",
) -> Response:
    """Take a person's decision, and go on to the next picture.

    Args:
        digest: Of the picture that the person saw.
        after: Id of the job to go on to.
    """
    decisions.require_seen(job, digest)
    reviews, reason = state.ledger.reviews, reason.strip()
    next_page = f"/review?at={after}" if after else "/review"
    match decision:
        case ReviewDecision.APPROVE:
            reviews.approve(job.id, by=caller.name, note=reason)
            return see_other(next_page, "approved")
        case ReviewDecision.REJECT:
            reviews.reject(job.id, by=caller.name, reason=reason)
            return see_other(next_page, "rejected")
        case ReviewDecision.BACKGROUND:
            if job.review is not Review.WAITING:
                raise InvalidTransitionError(f"Job {job.id} does not wait for a review.")
            reviews.another_background(job.id, by=caller.name, note=reason)
            return see_other(next_page, "background")
