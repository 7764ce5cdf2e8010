"""The state machine of a job, in one place.

NEW → QUEUED → SEGMENTING → BG_GENERATING → COMPOSITING → SHOPIFY_PUSH → DONE
 any → FAILED → QUEUED (tried again)                     DONE → QUEUED (made again)
 NEW, QUEUED, FAILED → CANCELLED → QUEUED                any before DONE → REJECTED → QUEUED

CANCELLED and REJECTED are what a person decided: no failure, and nothing but a person's wish leads
on from them.
"""

from __future__ import annotations

from enum import StrEnum

from photopipe_dagster.core.errors import InvalidTransitionError


class JobStatus(StrEnum):
    """Where a job is. All but the last two are the specification's."""

    NEW = "NEW"
    QUEUED = "QUEUED"
    SEGMENTING = "SEGMENTING"
    BG_GENERATING = "BG_GENERATING"
    COMPOSITING = "COMPOSITING"
    SHOPIFY_PUSH = "SHOPIFY_PUSH"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    """A person stopped it before a run took it up."""
    REJECTED = "REJECTED"
    """A person looked at the picture and does not want it published."""


class Review(StrEnum):
    """What a person has to say, or has said, about a picture before it is published."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"


PATH: tuple[JobStatus, ...] = tuple(JobStatus)[:7]
"""The way of a photo without failures, in order."""

WORKING: tuple[JobStatus, ...] = PATH[2:6]
"""A run is at work on the photo."""

DECIDED: tuple[JobStatus, ...] = (JobStatus.CANCELLED, JobStatus.REJECTED)
"""A person stopped the job, or rejected its picture."""

AT_REST: tuple[JobStatus, ...] = (JobStatus.DONE, JobStatus.FAILED, *DECIDED)
"""No run works on the photo, or is to, unless the job is FAILED and due again."""

RETRIABLE: tuple[JobStatus, ...] = (JobStatus.FAILED, *DECIDED)
"""A person can have the job go on."""

_STOPPABLE = frozenset({JobStatus.NEW, JobStatus.QUEUED, JobStatus.FAILED})


def allowed(old: JobStatus, new: JobStatus) -> bool:
    """Whether a job may go from one status to another in one step."""
    if new is JobStatus.FAILED:
        return old in PATH
    if new is JobStatus.CANCELLED:
        return old in _STOPPABLE
    if new is JobStatus.REJECTED:
        return old in PATH[:-1]
    if old in AT_REST:
        return new is JobStatus.QUEUED
    return PATH.index(new) == PATH.index(old) + 1


def check(old: JobStatus, new: JobStatus) -> None:
    """Raise `InvalidTransitionError` unless the step is allowed."""
    if not allowed(old, new):
        raise InvalidTransitionError(f"A job cannot go from {old} to {new}.")


def steps(old: JobStatus, new: JobStatus) -> tuple[JobStatus, ...]:
    """The steps that lead forward from one status to another; none if it is already there or past.

    Raises:
        InvalidTransitionError: The job is FAILED or stopped: it must be queued again first.
    """
    if old not in PATH:
        raise InvalidTransitionError(f"A job that is {old} cannot go on to {new}: queue it again.")
    return PATH[PATH.index(old) + 1 : PATH.index(new) + 1]
