"""Batches: backfills that people asked for, let go a few at a time.

A photo of a batch waits beside the jobs, not among them: it becomes due only while few others of
its kind are under way, so that photos that have just come in always overtake. Cancelling a batch
takes away what waits; what is under way is finished.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select, update

from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.job import locked
from photopipe_dagster.ledger.jobs import Jobs
from photopipe_dagster.ledger.statuses import WORKING, JobStatus
from photopipe_dagster.ledger.tables import batch_items, batches, jobs
from photopipe_dagster.photo import PhotoKey

_PAGE: Final = 200

_AT_REST: Final = (JobStatus.DONE, JobStatus.FAILED)


@dataclass(frozen=True, slots=True)
class Batch:
    """A backfill and how far it is.

    Args:
        what: What was asked for, for people.
        estimate: What it was expected to cost, USD.
        waiting: Photos that have not been let go yet.
        by_status: Photos that have, by the status of their jobs.
    """

    id: str
    what: str
    started_by: str
    created_at: datetime
    cancelled_at: datetime | None
    estimate: Decimal
    waiting: int
    by_status: Mapping[JobStatus, int]

    @property
    def total(self) -> int:
        """Photos of the batch."""
        return self.waiting + sum(self.by_status.values())

    @property
    def ended(self) -> int:
        """Photos that are done or failed."""
        return sum(self.by_status.get(status, 0) for status in _AT_REST)


class Batches:
    """The batches of the ledger.

    Args:
        database: Where they are.
        jobs: The jobs that they are about.
    """

    def __init__(self, database: Database, jobs: Jobs) -> None:
        self._database = database
        self._jobs = jobs

    def start(self, photos: Iterable[PhotoKey], *, what: str, by: str, estimate: Decimal) -> Batch:
        """Begin a batch. Nothing of it is due until `release` lets it go."""
        keys = {key.job_id: key for key in photos}
        batch_id = secrets.token_hex(6)
        rest = iter(keys.items())
        while page := list(islice(rest, _PAGE)):
            with self._database.write() as connection:
                connection.execute(
                    insert(batch_items),
                    [
                        {
                            "batch_id": batch_id,
                            "job_id": job_id,
                            "partition_key": key.partition_key,
                            "waits": True,
                        }
                        for job_id, key in page
                    ],
                )
        # Last: what was not written to its end does not exist.
        with self._database.write() as connection:
            connection.execute(
                insert(batches).values(
                    id=batch_id,
                    what=what,
                    started_by=by,
                    created_at=self._database.now(),
                    estimate=estimate,
                )
            )
        return self.require(batch_id)

    def get(self, batch_id: str) -> Batch | None:
        """The batch of that id."""
        row = self._database.one(select(batches).where(batches.c.id == batch_id))
        return None if row is None else self._batch(row)

    def require(self, batch_id: str) -> Batch:
        """The batch of that id; KeyError if there is none."""
        batch = self.get(batch_id)
        if batch is None:
            raise KeyError(batch_id)
        return batch

    def newest(self, limit: int = 20) -> list[Batch]:
        """Batches, newest first."""
        query = select(batches).order_by(batches.c.created_at.desc(), batches.c.id).limit(limit)
        return [self._batch(row) for row in self._database.all(query)]

    def cancel(self, batch_id: str) -> Batch:
        """Let nothing more of a batch go. What is under way is finished.

        Raises:
            KeyError: There is no such batch.
        """
        with self._database.write() as connection:
            connection.execute(
                update(batches)
                .where(batches.c.id == batch_id, batches.c.cancelled_at.is_(None))
                .values(cancelled_at=self._database.now())
            )
            connection.execute(
                delete(batch_items).where(
                    batch_items.c.batch_id == batch_id, batch_items.c.waits.is_(True)
                )
            )
        return self.require(batch_id)

    def release(self, under_way: int) -> int:
        """Let photos go, until so many of all batches are under way; returns how many went.

        A photo that is under way already is let be. One process does it at a time: a tick.
        """
        room = under_way - self._under_way()
        if room <= 0:
            return 0
        query = (
            select(batch_items.c.id, batch_items.c.batch_id, batch_items.c.partition_key)
            .join(batches, batches.c.id == batch_items.c.batch_id)
            .where(batch_items.c.waits.is_(True))
            .order_by(batch_items.c.id)
            .limit(room)
        )
        waiting = self._database.all(query)
        for row in waiting:
            key = PhotoKey.parse(row.partition_key)
            # Made first: if the process dies here, the job goes out as a photo of its own.
            self._jobs.submit(key, "backfill", image_url=self._source(key))
            with self._database.write() as connection:
                self._let_go(connection, row.id, row.batch_id, key.job_id)
        return len(waiting)

    def _let_go(self, connection: Connection, item_id: int, batch_id: str, job_id: str) -> None:
        row = connection.execute(locked(job_id)).one()
        if row.status in _AT_REST:
            again = self._jobs.queued_again() | {"retry_count": 0, "review": None}
            connection.execute(
                update(jobs).where(jobs.c.id == job_id).values(again | {"batch_id": batch_id})
            )
        elif row.status == JobStatus.NEW:
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(batch_id=batch_id))
        connection.execute(
            update(batch_items).where(batch_items.c.id == item_id).values(waits=False)
        )

    def _under_way(self) -> int:
        row = self._database.one(
            select(func.count()).where(
                jobs.c.batch_id.is_not(None),
                jobs.c.status.in_((JobStatus.NEW, JobStatus.QUEUED, *WORKING)),
                jobs.c.review.is_(None),
            )
        )
        return 0 if row is None else int(row[0])

    def _source(self, key: PhotoKey) -> str | None:
        """Where another theme of the same photo came from, should the store not have it."""
        row = self._database.one(
            select(jobs.c.image_url)
            .where(jobs.c.sku == key.sku, jobs.c.sha256 == key.sha256)
            .where(jobs.c.image_url.is_not(None))
            .limit(1)
        )
        return None if row is None else str(row.image_url)

    def _batch(self, row: Any) -> Batch:
        mine = batch_items.c.batch_id == row.id
        waiting = self._database.one(
            select(func.count()).where(mine, batch_items.c.waits.is_(True))
        )
        counts = self._database.all(
            select(jobs.c.status, func.count())
            .join(batch_items, batch_items.c.job_id == jobs.c.id)
            .where(mine, batch_items.c.waits.is_(False))
            .group_by(jobs.c.status)
        )
        return Batch(
            id=row.id,
            what=row.what,
            started_by=row.started_by,
            created_at=row.created_at,
            cancelled_at=row.cancelled_at,
            estimate=row.estimate,
            waiting=0 if waiting is None else int(waiting[0]),
            by_status={JobStatus(status): int(count) for status, count in counts},
        )
