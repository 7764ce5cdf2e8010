"""Batches: backfills that people asked for, let go a few at a time.

A photo of a batch waits beside the jobs, not among them: it becomes due only while few others of
its kind are under way, so that photos that have just come in always overtake. Cancelling a batch
takes away what waits; what is under way is finished.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from sqlalchemy import Connection, Select, and_, delete, exists, func, select, update

from photopipe_dagster.core.batched import batched
from photopipe_dagster.core.errors import NotFoundError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.jobs.intake import Arrival, new_row
from photopipe_dagster.ledger.jobs.model import CHANGED, Job, lock, queued_again, to_job
from photopipe_dagster.ledger.jobs.statuses import AT_REST, WORKING, JobStatus
from photopipe_dagster.ledger.tables import batch_items, batches, jobs

_PAGE: Final = 200


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
        """Photos that are at rest."""
        return sum(self.by_status.get(status, 0) for status in AT_REST)

    @property
    def state(self) -> Literal["under way", "ended", "cancelled"]:
        """How it is, as a whole."""
        if self.cancelled_at is not None:
            return "cancelled"
        return "ended" if self.ended == self.total else "under way"


class Batches:
    """The batches of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(
        self,
        photos: Iterable[PhotoKey],
        *,
        what: str,
        by: str,
        estimate: Decimal,
        batch_id: str | None = None,
    ) -> Batch:
        """Begin a batch. Nothing of it is due until `release` lets it go.

        Args:
            batch_id: Of `new_id`, so that a form that is sent twice begins one batch.
        """
        batch_id = batch_id or new_id()
        known = self.get(batch_id)
        if known is not None:
            return known
        keys = {key.job_id: key for key in photos}
        for page in batched(keys.items(), _PAGE):
            with self._database.write() as connection:
                connection.execute(
                    self._database.insert(batch_items).on_conflict_do_nothing(),
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
                self._database.insert(batches)
                .values(
                    id=batch_id,
                    what=what,
                    started_by=by,
                    created_at=self._database.now(),
                    estimate=estimate,
                )
                .on_conflict_do_nothing()
            )
        return self.require(batch_id)

    def get(self, batch_id: str) -> Batch | None:
        """The batch of that id."""
        found = self._read(select(batches).where(batches.c.id == batch_id))
        return found[0] if found else None

    def require(self, batch_id: str) -> Batch:
        """The batch of that id; NotFoundError if there is none."""
        batch = self.get(batch_id)
        if batch is None:
            raise NotFoundError("batch", batch_id, "backfill list")
        return batch

    def newest(self, limit: int = 20, offset: int = 0) -> list[Batch]:
        """Batches, newest first."""
        query = select(batches).order_by(batches.c.created_at.desc(), batches.c.id)
        return self._read(query.limit(limit).offset(offset))

    def jobs_of(
        self, batch_id: str, statuses: Sequence[JobStatus], limit: int, offset: int = 0
    ) -> list[Job]:
        """Jobs of a batch that have one of these statuses, those that changed last first."""
        query = (
            select(jobs)
            .join(batch_items, batch_items.c.job_id == jobs.c.id)
            .where(batch_items.c.batch_id == batch_id, batch_items.c.waits.is_(False))
            .where(jobs.c.status.in_(statuses))
            .order_by(jobs.c.updated_at.desc(), jobs.c.id)
            .limit(limit)
            .offset(offset)
        )
        return [to_job(row) for row in self._database.all(query)]

    def cancel(self, batch_id: str) -> Batch:
        """Let nothing more of a batch go. What is under way is finished.

        A batch of which nothing waits any more stays as it is.

        Raises:
            NotFoundError: There is no such batch.
        """
        waits = and_(batch_items.c.batch_id == batch_id, batch_items.c.waits.is_(True))
        with self._database.write() as connection:
            connection.execute(
                update(batches)
                .where(batches.c.id == batch_id, batches.c.cancelled_at.is_(None))
                .where(exists().where(waits))
                .values(cancelled_at=self._database.now())
            )
            connection.execute(delete(batch_items).where(waits))
        return self.require(batch_id)

    def release(self, under_way: int) -> int:
        """Let photos go, until so many of all batches are under way; returns how many went.

        A photo that is under way already is let be, and so is one of a batch that is cancelled
        meanwhile. One process does it at a time: a tick.
        """
        room = under_way - self._under_way()
        if room <= 0:
            return 0
        query = (
            select(batch_items.c.id, batch_items.c.batch_id, batch_items.c.partition_key)
            .join(batches, batches.c.id == batch_items.c.batch_id)
            .where(batch_items.c.waits.is_(True), batches.c.cancelled_at.is_(None))
            .order_by(batch_items.c.id)
            .limit(room)
        )
        went = 0
        for row in self._database.all(query):
            key = PhotoKey.parse(row.partition_key)
            arrival = Arrival(key, "backfill", self._source(key))
            # All or nothing: no item is taken without its job, nor is one that was cancelled since.
            with self._database.write() as connection:
                taken = connection.execute(
                    update(batch_items)
                    .where(batch_items.c.id == row.id, batch_items.c.waits.is_(True))
                    .values(waits=False)
                )
                if taken.rowcount:
                    self._let_go(connection, row.batch_id, arrival)
                    went += 1
        return went

    def _let_go(self, connection: Connection, batch_id: str, arrival: Arrival) -> None:
        job_id, now = arrival.key.job_id, self._database.now()
        new = self._database.insert(jobs).values(new_row(arrival, now))
        connection.execute(new.on_conflict_do_nothing())
        job = lock(connection, job_id)
        values: dict[str, object] = {"batch_id": batch_id}
        if job.status in AT_REST:
            values = queued_again(now) | {"retry_count": 0, "review": None} | values
        elif job.status is not JobStatus.NEW:
            return
        if arrival.image_url is not None and job.object_keys[Stage.ORIGINAL] is None:
            values["image_url"] = arrival.image_url
        connection.execute(CHANGED, {"of_job": job_id, **values})

    def _under_way(self) -> int:
        query = select(func.count()).where(
            jobs.c.batch_id.is_not(None),
            jobs.c.status.in_((JobStatus.NEW, JobStatus.QUEUED, *WORKING)),
            jobs.c.review.is_(None),
        )
        return int(self._database.value(query) or 0)

    def _source(self, key: PhotoKey) -> str | None:
        """Where another theme of the same photo came from, should the store not have it."""
        query = select(jobs.c.image_url).where(
            jobs.c.sku == key.sku, jobs.c.sha256 == key.sha256, jobs.c.image_url.is_not(None)
        )
        return self._database.value(query.limit(1))

    def _read(self, query: Select[Any]) -> list[Batch]:
        rows = self._database.all(query)
        # Counted for all at once: a page of batches is three queries.
        mine = batch_items.c.batch_id.in_([row.id for row in rows])
        waiting = dict.fromkeys((row.id for row in rows), 0)
        waits = select(batch_items.c.batch_id, func.count()).where(
            mine, batch_items.c.waits.is_(True)
        )
        for batch_id, count in self._database.all(waits.group_by(batch_items.c.batch_id)):
            waiting[batch_id] = count
        by_status: dict[str, dict[JobStatus, int]] = {row.id: {} for row in rows}
        let_go = (
            select(batch_items.c.batch_id, jobs.c.status, func.count())
            .join(jobs, batch_items.c.job_id == jobs.c.id)
            .where(mine, batch_items.c.waits.is_(False))
            .group_by(batch_items.c.batch_id, jobs.c.status)
        )
        for batch_id, status, count in self._database.all(let_go):
            by_status[batch_id][JobStatus(status)] = count
        return [
            Batch(**row._mapping, waiting=waiting[row.id], by_status=by_status[row.id])
            for row in rows
        ]


def new_id() -> str:
    """An id that no batch has."""
    return secrets.token_hex(6)
