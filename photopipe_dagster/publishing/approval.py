"""Whether a picture may go to the shop by itself, or a person decides first."""

from __future__ import annotations

from dataclasses import dataclass

from photopipe_dagster.core.errors import CompositeError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.statuses import Review
from photopipe_dagster.quality.gates import in_mode
from photopipe_dagster.quality.results import Measure, Verdict, from_record, measures_at
from photopipe_dagster.themes.model import Theme

EVERY_THEME = "*"
"""In `APPROVAL_REQUIRED`: a person looks at every picture."""


@dataclass(frozen=True, slots=True)
class Held:
    """A person looks at a picture before it is published, or before more is paid for it.

    Args:
        reasons: Why, for the person.
        digest: SHA-256 of the picture: the composite, or the cut-out.
    """

    reasons: tuple[str, ...]
    digest: str


def ensure_publishable(
    job: Job, theme: Theme, composite_digest: str, settings: Settings
) -> Held | None:
    """Whether a person looks at the composite first; ``None``: it may be published now.

    Args:
        job: As the ledger has it now, with what the checks found.
        theme: The job's.
        composite_digest: SHA-256 of the composite: an approval is of one picture, not of a job.

    Raises:
        CompositeError: A check failed.
    """
    checks = in_mode(from_record(job.quality), settings.quality_gates)
    failed = measures_at(checks, Verdict.FAIL)
    if failed:
        raise CompositeError(
            "Failed quality checks: " + " ".join(str(measure) for measure in failed),
            details={"checks": [measure.name for measure in failed]},
        )
    decided = job.review if job.review_digest == composite_digest else None
    if decided is Review.APPROVED:
        return None
    reasons = [str(measure) for measure in measures_at(checks, Verdict.WARN)]
    if approval_required(theme, settings):
        who = "The theme" if theme.approval else "APPROVAL_REQUIRED"
        reasons.append(f"{who} has a person look at every {theme.name} picture.")
    if job.review is None and job.review_digest is None:
        reasons += job.review_reasons  # a person asked for the picture, and has not seen it
    if decided is Review.REJECTED:
        said = f": {job.review_note}" if job.review_note else "."
        reasons.append(f"{job.reviewed_by} has rejected this very picture{said}")
    return Held(tuple(reasons), composite_digest) if reasons else None


def ensure_worth_buying(
    job: Job, cutout_digest: str, misfit: Measure | None, settings: Settings
) -> Held | None:
    """Whether a person says first that a background is to be bought; ``None``: it may be.

    Args:
        cutout_digest: SHA-256 of the cut-out, which the person is shown: an approval of it is none
            of the composite.
        misfit: Why the product does not suit the theme, if that is known.
    """
    if misfit is None or settings.quality_gates == "off":
        return None
    if job.review is Review.APPROVED and job.review_digest == cutout_digest:
        return None
    reason = (
        f"{misfit} No background is bought yet: approve to have the picture made anyway, "
        "and shown to you before it is published."
    )
    return Held((reason,), cutout_digest)


def approval_required(theme: Theme, settings: Settings) -> bool:
    """Whether a person looks at every picture in that theme."""
    named = not {theme.name, EVERY_THEME}.isdisjoint(settings.approval_required)
    return theme.approval or named
