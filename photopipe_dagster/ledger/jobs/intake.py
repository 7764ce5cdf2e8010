"""Photos that come in: each becomes one job, however often it is announced."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from typing import Any

from sqlalchemy import select, update

from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.queries import JobQueries
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.tables import jobs


@dataclass(frozen=True, slots=True)
class Arrival:
    """A photo that is announced.

    Args:
        source: How it came in: ``submit``, ``dagster``, ``backfill``, or as its source says.
        image_url: Where it can be fetched: a reference of any scheme that a source knows.
    """

    key: PhotoKey
    source: str
    image_url: str | None = None
    taken_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """What came of announcing a photo: its job, and whether that is new."""

    job: Job
    created: bool


class JobIntake:
    """Makes the jobs of the ledger.

    Args:
        database: Where they are.
        jobs: Looks at them.
    """

    def __init__(self, database: Database, jobs: JobQueries) -> None:
        self._database = database
        self._jobs = jobs

    def submit(
        self,
        key: PhotoKey,
        source: str,
        *,
        image_url: str | None = None,
        taken_at: datetime | None = None,
    ) -> Submission:
        """Announce a photo. Once or a thousand times, at once or years apart: one job.

        A photo that is announced again before it was fetched is fetched from its new URL: the old
        one may have expired.
        """
        created = self.submit_all([Arrival(key, source, image_url, taken_at)])[0]
        return Submission(self._jobs.require(key.job_id), created)

    def submit_all(self, arrivals: Sequence[Arrival]) -> list[bool]:
        """Announce many photos in one transaction: as `submit`, and much cheaper.

        Returns:
            Of each, whether its job is new.
        """
        first: dict[str, Arrival] = {}
        for arrival in arrivals:
            first.setdefault(arrival.key.job_id, arrival)
        known = self._known(first)
        moved = [
            (job_id, first[job_id].image_url)
            for job_id, (image_url, fetched) in sorted(known.items())
            if not fetched and first[job_id].image_url not in (None, image_url)
        ]
        rows = [
            new_row(arrival, self._database.now(), place)
            for place, (job_id, arrival) in enumerate(first.items())
            if job_id not in known
        ]
        created: set[str] = set()
        if rows or moved:
            with self._database.write() as connection:
                if rows:
                    # In one order everywhere, so that two batches never wait for each other.
                    rows.sort(key=itemgetter("id"))
                    statement = self._database.insert(jobs).on_conflict_do_nothing()
                    made = connection.execute(statement.returning(jobs.c.id), rows)
                    created.update(made.scalars())
                for job_id, image_url in moved:
                    connection.execute(
                        update(jobs)
                        .where(jobs.c.id == job_id, jobs.c.original_key.is_(None))
                        .values(image_url=image_url, updated_at=self._database.now())
                    )
        # Where several announce the same photo, the first has made its job.
        return [
            arrival is first[arrival.key.job_id] and arrival.key.job_id in created
            for arrival in arrivals
        ]

    def _known(self, job_ids: Collection[str]) -> dict[str, tuple[str | None, bool]]:
        """Of jobs that exist: the photo's URL, and whether it was fetched."""
        query = select(jobs.c.id, jobs.c.image_url, jobs.c.original_key)
        rows = self._database.all(query.where(jobs.c.id.in_(job_ids)))
        return {row.id: (row.image_url, row.original_key is not None) for row in rows}


def new_row(arrival: Arrival, now: datetime, place: int = 0) -> dict[str, Any]:
    """The row of a photo that is NEW.

    Args:
        place: Among those that are announced together, from 0.
    """
    # A microsecond apart, so that lists have them in the order in which they came.
    now += timedelta(microseconds=place)
    key = arrival.key
    return {
        "id": key.job_id,
        "sku": key.sku,
        "sha256": key.sha256,
        "theme": key.theme,
        "partition_key": key.partition_key,
        "status": JobStatus.NEW,
        "source": arrival.source,
        "image_url": arrival.image_url,
        "taken_at": arrival.taken_at,
        "created_at": now,
        "updated_at": now,
        "segmentation_cost": Decimal(0),
        "background_cost": Decimal(0),
        "retry_count": 0,
    }
