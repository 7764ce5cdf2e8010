"""The state machine of a job, in one place.

NEW → QUEUED → SEGMENTING → BG_GENERATING → COMPOSITING → SHOPIFY_PUSH → DONE
 any → FAILED → QUEUED (tried again)                     DONE → QUEUED (made again)
"""

from __future__ import annotations

from enum import StrEnum

from photopipe_dagster.core.errors import InvalidTransitionError


class JobStatus(StrEnum):
    """Where a job is. The names are the specification's."""

    NEW = "NEW"
    QUEUED = "QUEUED"
    SEGMENTING = "SEGMENTING"
    BG_GENERATING = "BG_GENERATING"
    COMPOSITING = "COMPOSITING"
    SHOPIFY_PUSH = "SHOPIFY_PUSH"
    DONE = "DONE"
    FAILED = "FAILED"


class Review(StrEnum):
    """What a person has to say, or has said, about a picture before it is published."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"


PATH: tuple[JobStatus, ...] = (
    JobStatus.NEW,
    JobStatus.QUEUED,
    JobStatus.SEGMENTING,
    JobStatus.BG_GENERATING,
    JobStatus.COMPOSITING,
    JobStatus.SHOPIFY_PUSH,
    JobStatus.DONE,
)
"""The way of a photo without failures, in order."""

WORKING: tuple[JobStatus, ...] = PATH[2:6]
"""A run is at work on the photo."""

_BACK_TO_QUEUE = frozenset({JobStatus.FAILED, JobStatus.DONE})


def allowed(old: JobStatus, new: JobStatus) -> bool:
    """Whether a job may go from one status to another in one step."""
    if new is JobStatus.FAILED:
        return old is not JobStatus.FAILED
    if old in _BACK_TO_QUEUE:
        return new is JobStatus.QUEUED
    return PATH.index(new) == PATH.index(old) + 1


def check(old: JobStatus, new: JobStatus) -> None:
    """Raise `InvalidTransitionError` unless the step is allowed."""
    if not allowed(old, new):
        raise InvalidTransitionError(f"A job cannot go from {old} to {new}.")


def steps(old: JobStatus, new: JobStatus) -> tuple[JobStatus, ...]:
    """The steps that lead forward from one status to another; none if it is already there or past.

    Raises:
        InvalidTransitionError: The job is FAILED: it must be queued again first.
    """
    if old is JobStatus.FAILED:
        raise InvalidTransitionError(f"A job that is FAILED cannot go on to {new}: queue it again.")
    return PATH[PATH.index(old) + 1 : PATH.index(new) + 1]
