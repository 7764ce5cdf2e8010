"""Reviews: pictures that wait for a person, and what the person says."""

from __future__ import annotations

from sqlalchemy import Connection, func, select, update

from photopipe_dagster.core.errors import ErrorCode, InvalidTransitionError
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.jobs.model import Job, locked, to_job
from photopipe_dagster.ledger.jobs.repository import Jobs
from photopipe_dagster.ledger.jobs.statuses import JobStatus, Review
from photopipe_dagster.ledger.tables import jobs

MAX_NOTE_CHARACTERS = 2000
"""Of a person's reason."""


class Reviews:
    """What waits for approval, and decisions on it.

    Args:
        database: Where the jobs are.
        jobs: Their state machine.
    """

    def __init__(self, database: Database, jobs: Jobs) -> None:
        self._database = database
        self._jobs = jobs

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
        row = self._database.one(
            select(func.count()).select_from(jobs).where(jobs.c.review == Review.WAITING)
        )
        return 0 if row is None else int(row[0])

    def approve(self, job_id: str, *, by: str, note: str = "") -> Job:
        """Publish the picture as it is; the job goes on at the next tick.

        Raises:
            KeyError: There is no such job.
            InvalidTransitionError: The job does not wait for a person.
        """
        with self._database.write() as connection:
            self._waiting(connection, job_id)
            self._write(connection, job_id, self._decision(Review.APPROVED, by, note))
        return self._jobs.require(job_id)

    def reject(self, job_id: str, *, by: str, reason: str) -> Job:
        """Do not publish the picture: the job is FAILED, with the person's reason.

        Raises:
            KeyError: There is no such job.
            InvalidTransitionError: The job does not wait for a person.
        """
        said = f"Rejected by {by}: {reason}" if reason else f"Rejected by {by}."
        with self._database.write() as connection:
            self._waiting(connection, job_id)
            decision = self._decision(Review.REJECTED, by, reason)
            failed: dict[str, object] = {
                "status": JobStatus.FAILED,
                "failed_at": decision["reviewed_at"],
                "error_code": ErrorCode.COMPOSITE_ERROR,
                "error_message": said,
                "error_details": {"kind": "rejected"},
                "retry_at": None,
                "dispatch_id": None,
            }
            self._write(connection, job_id, decision | failed)
        return self._jobs.require(job_id)

    def another_background(self, job_id: str, *, by: str, note: str = "") -> Job:
        """Have another background made and paid: the next variant. The cut-out stays.

        Possible for a job that waits for a person, and for one that is DONE or FAILED.

        Raises:
            KeyError: There is no such job.
            InvalidTransitionError: The job is under way.
        """
        with self._database.write() as connection:
            job = _locked_job(connection, job_id)
            at_rest = job.status in (JobStatus.DONE, JobStatus.FAILED)
            if job.review is not Review.WAITING and not at_rest:
                raise InvalidTransitionError(
                    f"Job {job_id} is under way ({job.status}): wait until it is done."
                )
            undone: dict[str, object] = {
                "variant": job.variant + 1,
                "background_key": None,
                "composite_key": None,
                "review_reasons": None,
                "review_digest": None,
                "retry_count": 0,
            }
            values = self._jobs.queued_again() | self._decision(None, by, note) | undone
            self._write(connection, job_id, values)
        return self._jobs.require(job_id)

    def _waiting(self, connection: Connection, job_id: str) -> Job:
        job = _locked_job(connection, job_id)
        if job.review is not Review.WAITING:
            raise InvalidTransitionError(f"Job {job_id} does not wait for a review.")
        return job

    def _decision(self, review: Review | None, by: str, note: str) -> dict[str, object]:
        now = self._database.now()
        return {
            "review": review,
            "review_note": note[:MAX_NOTE_CHARACTERS] or None,
            "reviewed_by": by,
            "reviewed_at": now,
            "updated_at": now,
        }

    @staticmethod
    def _write(connection: Connection, job_id: str, values: dict[str, object]) -> None:
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))


def _locked_job(connection: Connection, job_id: str) -> Job:
    row = connection.execute(locked(job_id)).first()
    if row is None:
        raise KeyError(job_id)
    return to_job(row)
