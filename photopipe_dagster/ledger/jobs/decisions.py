"""What people decided of pictures: kept for good, with all that was measured of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from photopipe_dagster.core.photo import Stage
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.queries import PAGE
from photopipe_dagster.ledger.jobs.statuses import JobStatus, Review
from photopipe_dagster.ledger.tables import decisions, jobs


class Outcome(StrEnum):
    """What a person said of a picture."""

    APPROVED = "approved"
    REJECTED = "rejected"
    ANOTHER_BACKGROUND = "another background"
    REPAIRED = "repaired"
    """The cut-out was repaired by hand: the picture of the one before it was not good enough."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a picture that a person is to look at, beside what its checks measured.

    Args:
        kind: Of the product, as `publishing.product_kind` names it; ``None`` if nothing says so.
        made: By stage: ``recipe``, ``sha256`` and ``facts`` of what it has made.
    """

    kind: str | None = None
    made: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


NO_EVIDENCE: Final = Evidence()


@dataclass(frozen=True, slots=True)
class Decision:
    """A picture that a person has decided on, as it was then.

    Args:
        stage: Whose picture it was about: the composite, or the mask where the person was asked
            whether a background is to be bought at all.
        reasons: Why a person had to look.
        quality: What the checks had measured, by stage; see `quality.results.from_record`.
        made: See `Evidence`; ``None`` for what was held before that was kept.
        held_at: ``None`` where it had gone out by itself, and a person asked for another.
        note: The person's reason.
    """

    job_id: str
    sku: str
    theme: str
    variant: int
    stage: Stage
    digest: str | None
    kind: str | None
    reasons: tuple[str, ...]
    quality: Mapping[str, Any] | None
    made: Mapping[str, Any] | None
    held_at: datetime | None
    outcome: Outcome
    note: str | None
    decided_by: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Undecided:
    """A picture that no person has decided on.

    Args:
        waits: Whether it waits for a person; else it went out by itself.
    """

    sku: str
    theme: str
    waits: bool
    quality: Mapping[str, Any] | None


class Decisions:
    """Reads what people decided, and what no person has looked at."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def taken(self, since: datetime | None = None) -> Iterator[Decision]:
        """Decisions, oldest first.

        Args:
            since: Only those from that moment on.
        """
        query = select(decisions).where(decisions.c.outcome.is_not(None))
        if since is not None:
            query = query.where(decisions.c.decided_at >= since)
        last = 0
        while page := self._database.all(
            query.where(decisions.c.id > last).order_by(decisions.c.id).limit(PAGE)
        ):
            yield from map(_to_decision, page)
            last = page[-1].id

    def jobs_by_theme(self) -> dict[str, int]:
        """How many photos people have decided on, by theme."""
        query = select(decisions.c.theme, func.count(decisions.c.job_id.distinct()).label("jobs"))
        rows = self._database.all(
            query.where(decisions.c.outcome.is_not(None)).group_by(decisions.c.theme)
        )
        return {row.theme: row.jobs for row in rows}

    def not_decided(self, since: datetime | None = None) -> Iterator[Undecided]:
        """Pictures that went out by themselves, or wait for a person.

        Args:
            since: Only those that changed from that moment on.
        """
        waits = jobs.c.review == Review.WAITING
        by_itself = and_(
            jobs.c.status == JobStatus.DONE,
            jobs.c.media_id.is_not(None),
            jobs.c.review.is_distinct_from(Review.APPROVED),
        )
        columns = jobs.c.id, jobs.c.sku, jobs.c.theme, jobs.c.review, jobs.c.quality
        for which in (waits, by_itself):
            query = select(*columns).where(which).order_by(jobs.c.id).limit(PAGE)
            if since is not None:
                query = query.where(jobs.c.updated_at >= since)
            last = ""
            while page := self._database.all(query.where(jobs.c.id > last)):
                for row in page:
                    waiting = row.review == Review.WAITING
                    yield Undecided(row.sku, row.theme, waiting, row.quality)
                last = page[-1].id


def record_held(connection: Connection, job: Job, evidence: Evidence) -> None:
    """A picture waits for a person from now on: keep what is known of it, in a transaction."""
    # What was held before it and never decided on is unusable to anybody.
    connection.execute(delete(decisions).where(_open_of(job)))
    values = _described(job) | {"kind": evidence.kind, "made": dict(evidence.made)}
    if evidence.made.get(Stage.MASK, {}).get("sha256") == job.review_digest:
        values["stage"] = Stage.MASK
    connection.execute(insert(decisions).values(values | {"held_at": job.updated_at}))


def record_decision(
    connection: Connection, job: Job, outcome: Outcome, *, by: str, note: str, at: datetime
) -> None:
    """A person has decided, in the same transaction.

    Args:
        job: As it was before.
    """
    said = {"outcome": outcome, "note": note or None, "decided_by": by, "decided_at": at}
    if job.review is Review.WAITING:
        held = update(decisions).where(_open_of(job), decisions.c.digest == job.review_digest)
        if connection.execute(held.values(said)).rowcount:
            return
    # Held by an earlier version, or published already.
    connection.execute(insert(decisions).values(_described(job) | said))


def _open_of(job: Job) -> Any:
    return and_(decisions.c.job_id == job.id, decisions.c.outcome.is_(None))


def _described(job: Job) -> dict[str, Any]:
    composite = job.object_keys.get(Stage.COMPOSITE) is not None
    return {
        "job_id": job.id,
        "sku": job.key.sku,
        "theme": job.key.theme,
        "variant": job.variant,
        "stage": Stage.COMPOSITE if composite else Stage.MASK,
        "digest": job.review_digest,
        "reasons": list(job.review_reasons),
        "quality": job.quality,
    }


_SAME: Final = [field.name for field in fields(Decision) if field.name in decisions.c]


def _to_decision(row: Any) -> Decision:
    values = {name: getattr(row, name) for name in _SAME}
    return Decision(
        **values
        | {
            "stage": Stage(row.stage),
            "reasons": tuple(row.reasons),
            "outcome": Outcome(row.outcome),
        }
    )
