"""Reviews: pictures that wait for a person, and what the person says."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from photopipe_dagster.core.errors import InvalidTransitionError
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.jobs.decisions import Outcome, record_decision
from photopipe_dagster.ledger.jobs.model import (
    MAX_NAME_CHARACTERS,
    NO_ERROR,
    Job,
    change,
    lock,
    queued_again,
    to_job,
)
from photopipe_dagster.ledger.jobs.statuses import AT_REST, JobStatus, Review
from photopipe_dagster.ledger.tables import jobs

MAX_NOTE_CHARACTERS = 2000
"""Of a person's reason."""


ANOTHER_BACKGROUND = "A person asked for another background."

REPAIRED = "A person repaired the cut-out."

REPAIR_UNDONE = "A person took a repair back: the earlier cut-out is in use."


def require_still(job: Job) -> None:
    """See that no run works on a job.

    Raises:
        InvalidTransitionError: One does.
    """
    if job.review is not Review.WAITING and job.status not in AT_REST:
        raise InvalidTransitionError(
            f"Job {job.id} is under way ({job.status}): wait until it is done."
        )


class Reviews:
    """What waits for approval, and decisions on it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting(self, *, limit: int, offset: int = 0) -> list[Job]:
        """Jobs that wait for a person, longest first."""
        query = (
            select(jobs)
            .where(jobs.c.review == Review.WAITING)
            .order_by(jobs.c.updated_at, jobs.c.id)
        )
        return [to_job(row) for row in self._database.all(query.limit(limit).offset(offset))]

    def count(self) -> int:
        """How many jobs wait for a person."""
        query = select(func.count()).where(jobs.c.review == Review.WAITING)
        return int(self._database.value(query) or 0)

    def approve(self, job_id: str, *, by: str, note: str = "") -> Job:
        """Publish the picture as it is; the job goes on at the next tick.

        Raises:
            NotFoundError: There is no such job.
            InvalidTransitionError: The job does not wait for a person.
        """
        with self._database.write() as connection:
            self._decided(connection, self._waiting(connection, job_id), Outcome.APPROVED, by, note)
            return change(connection, job_id, self._decision(Review.APPROVED, by, note))

    def reject(self, job_id: str, *, by: str, reason: str) -> Job:
        """Do not publish the picture; who said so, when and why is kept.

        Raises:
            NotFoundError: There is no such job.
            InvalidTransitionError: The job does not wait for a person.
        """
        with self._database.write() as connection:
            job = self._waiting(connection, job_id)
            self._decided(connection, job, Outcome.REJECTED, by, reason)
            rejected = {"status": JobStatus.REJECTED, "retry_at": None, "dispatch_id": None}
            decision = self._decision(Review.REJECTED, by, reason)
            return change(connection, job_id, decision | NO_ERROR | rejected)

    def another_background(self, job_id: str, *, by: str, note: str = "") -> Job:
        """Have another background made and paid: the next variant. The cut-out stays.

        A person looks at the picture before it is published, or takes the place of one that is.

        Possible for a job that waits for a person, and for one that is at rest.

        Raises:
            NotFoundError: There is no such job.
            InvalidTransitionError: The job is under way.
        """
        with self._database.write() as connection:
            job = self._to_be_remade(connection, job_id)
            self._decided(connection, job, Outcome.ANOTHER_BACKGROUND, by, note)
            next_one = {"variant": job.variant + 1, "background_key": None}
            return self._remake(connection, job_id, ANOTHER_BACKGROUND, by, note, **next_one)

    def cutout_changed(self, job_id: str, *, by: str, undone: bool = False) -> Job:
        """A person has repaired the cut-out: the picture is made again, and shown to a person.

        Possible as for `another_background`. Nothing is bought.

        Args:
            undone: Whether the person took a repair back instead.

        Raises:
            NotFoundError: There is no such job.
            InvalidTransitionError: The job is under way.
        """
        with self._database.write() as connection:
            job = self._to_be_remade(connection, job_id)
            if not undone:
                self._decided(connection, job, Outcome.REPAIRED, by, "")
            return self._remake(connection, job_id, REPAIR_UNDONE if undone else REPAIRED, by, "")

    def _waiting(self, connection: Connection, job_id: str) -> Job:
        job = lock(connection, job_id)
        if job.review is not Review.WAITING:
            raise InvalidTransitionError(f"Job {job_id} does not wait for a review.")
        return job

    def _to_be_remade(self, connection: Connection, job_id: str) -> Job:
        job = lock(connection, job_id)
        require_still(job)
        return job

    def _remake(
        self,
        connection: Connection,
        job_id: str,
        reason: str,
        by: str,
        note: str,
        **values: object,
    ) -> Job:
        again = queued_again(self._database.now()) | self._decision(None, by, note)
        undone: dict[str, object] = {
            "composite_key": None,
            # Of no picture yet: whichever comes of it is looked at before it is published.
            "review_reasons": [reason],
            "review_digest": None,
            "retry_count": 0,
        }
        return change(connection, job_id, again | undone | values)

    def _decided(
        self, connection: Connection, job: Job, outcome: Outcome, by: str, note: str
    ) -> None:
        by, note = by[:MAX_NAME_CHARACTERS], note[:MAX_NOTE_CHARACTERS]
        record_decision(connection, job, outcome, by=by, note=note, at=self._database.now())

    def _decision(self, review: Review | None, by: str, note: str) -> dict[str, object]:
        now = self._database.now()
        return {
            "review": review,
            "review_note": note[:MAX_NOTE_CHARACTERS] or None,
            "reviewed_by": by[:MAX_NAME_CHARACTERS],
            "reviewed_at": now,
            "updated_at": now,
        }
