"""How pages say things: states, money, moments and light, in words for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from markupsafe import Markup

from photopipe_dagster.core.error_guide import GUIDE
from photopipe_dagster.core.errors import BUDGET
from photopipe_dagster.core.money import usd as digits
from photopipe_dagster.core.stages import SPECS
from photopipe_dagster.imaging.light import Light
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.statuses import WORKING, JobStatus, Review
from photopipe_dagster.runtime.advice import Reader, for_reader, service_title
from photopipe_dagster.themes.model import Theme

STAGES: Final = {stage: spec.label for stage, spec in SPECS.items()}

STATUSES: Final = {
    JobStatus.NEW: "New",
    JobStatus.QUEUED: "Queued",
    JobStatus.SEGMENTING: "Cutting out",
    JobStatus.BG_GENERATING: "Making background",
    JobStatus.COMPOSITING: "Compositing",
    JobStatus.SHOPIFY_PUSH: "Publishing",
    JobStatus.DONE: "Published",
    JobStatus.FAILED: "Failed",
    JobStatus.CANCELLED: "Cancelled",
    JobStatus.REJECTED: "Rejected",
}

ERRORS: Final = {code: guide.title for code, guide in GUIDE.items()}

_DIRECTIONS: Final = (
    "from behind",
    "from behind on the right",
    "from the right",
    "from the front on the right",
    "from the front",
    "from the front on the left",
    "from the left",
    "from behind on the left",
)


class Tone(StrEnum):
    """What a state means to a person; also its CSS class."""

    CALM = "calm"
    BUSY = "busy"
    GOOD = "good"
    ASKS = "asks"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class ShownState:
    """How a job is, in words."""

    words: str
    tone: Tone


def state(job: Job) -> ShownState:
    """How a job is."""
    if job.review is Review.WAITING:
        return ShownState("In review", Tone.ASKS)
    if job.status is JobStatus.FAILED:
        if job.retry_at is not None:
            return ShownState("Retrying soon", Tone.ASKS)
        return ShownState("Failed", Tone.BAD)
    if job.status is JobStatus.DONE:
        if job.media_id is None:
            return ShownState("Unpublished", Tone.CALM)
        return ShownState("Published", Tone.GOOD)
    return ShownState(STATUSES[job.status], Tone.BUSY if job.status in WORKING else Tone.CALM)


def waits_for(name: str) -> str:
    """What a job waits for: the budget, or a service by its name among the breakers."""
    return "the budget" if name == BUDGET else service_title(name)


def on_page(text: str, job_id: str) -> Markup:
    """A text of ours as HTML: commands become the page's buttons, and code what else backticks
    enclose.
    """
    parts = for_reader(text, job_id, Reader.PAGE).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 and number < len(parts) - 1 else part
        for number, part in enumerate(parts)
    )


def usd(amount: Decimal) -> str:
    """USD with the sign."""
    return f"${digits(amount)}"


def duration(seconds: float) -> str:
    """A length of time with the one or two units that matter."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} days"


def ago(moment: datetime, now: datetime) -> str:
    """How far a moment is away: ``5 min ago``, ``in 2 h``, or its date if that is far."""
    away = now - moment
    far = abs(away)
    if far < timedelta(seconds=45):
        return "just now" if away >= timedelta(0) else "in a moment"
    if far > timedelta(days=14):
        return f"{moment:%-d %b %Y}"
    if far < timedelta(minutes=60):
        words = f"{max(1, round(far / timedelta(minutes=1)))} min"
    elif far < timedelta(hours=36):
        words = f"{round(far / timedelta(hours=1))} h"
    else:
        words = f"{round(far / timedelta(days=1))} days"
    return f"{words} ago" if away >= timedelta(0) else f"in {words}"


def percent(share: float) -> str:
    """A share of 0 to 1; 100 % only if it is all."""
    shown = f"{100 * share:.1f}".removesuffix(".0")
    return f"{'99.9' if shown == '100' and share < 1 else shown} %"


def light(of: Light | None) -> str:
    """Where a scene's light comes from."""
    if of is None:
        return "Even, from everywhere"
    direction = _DIRECTIONS[round(of.azimuth_degrees / 45) % 8]
    height = _step(of.elevation_degrees, (42, "low"), (56, "at half height"), (91, "high"))
    quality = _step(of.softness, (0.4, "Hard"), (0.7, "Soft"), (2, "Very soft"))
    return f"{quality}, {direction}, {height}"


def shadow(of: Light | None) -> str:
    """What the product leaves on its ground."""
    if of is None:
        return "None"
    cast = _step(of.cast, (0.05, "No"), (0.3, "A faint"), (0.5, "A clear"), (2, "A firm"))
    contact = _step(of.contact, (0.65, "light"), (0.85, "clear"), (2, "deep"))
    mirror = _step(
        of.reflection,
        (0.03, "no reflection"),
        (0.3, "a hint of a reflection"),
        (2, "a clear reflection"),
    )
    return f"{cast} cast shadow, {contact} contact with the ground, {mirror}"


def placement(of: Theme) -> str:
    """Where the product comes to stand, how large, and in what picture."""
    if of.placement.share is None:
        says = "Where and as large as it was photographed"
        if of.placement.ground is not None:
            says += ", moved down onto the surface if it stands too high"
    else:
        says = f"In the middle, spanning {percent(of.placement.share)} of the frame"
    if "x" in of.canvas:
        says += f"; {of.canvas.replace('x', ' × ')} pixels"
    elif of.canvas:
        says += f"; in the shape {of.canvas}"
    return says


def _step(value: float, *steps: tuple[float, str]) -> str:
    return next(word for limit, word in steps if value < limit)
