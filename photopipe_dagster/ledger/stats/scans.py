"""The whole ledger, page by page, for comparing it with the other truths."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select

from photopipe_dagster.core.batched import batched
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.ledger.catalogue import KnownMedia
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.jobs.leases import is_run_lease
from photopipe_dagster.ledger.jobs.model import IN_PROGRESS, NOT_BEGUN, Job, to_job
from photopipe_dagster.ledger.jobs.queries import PAGE
from photopipe_dagster.ledger.jobs.statuses import AT_REST, JobStatus
from photopipe_dagster.ledger.money.spending import OPEN, Spend, to_spend
from photopipe_dagster.ledger.tables import claims, jobs, media, spending


@dataclass(frozen=True, slots=True)
class Waiting:
    """Jobs that are due and that nobody dispatches.

    Args:
        since: When the oldest of them became due.
    """

    count: int
    since: datetime


@dataclass(frozen=True, slots=True)
class ExpiredLease:
    """A lease whose end has passed and that nobody gave back."""

    name: str
    expired_at: datetime

    @property
    def of_run(self) -> bool:
        """Whether a run held it as a sign of life; else it was on a photo."""
        return is_run_lease(self.name)


class Scans:
    """Looks over the tables without ever holding one of them whole."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def done_jobs(self, completed_before: datetime) -> Iterator[list[Job]]:
        """Jobs that are DONE since a while, in pages."""
        settled = and_(jobs.c.status == JobStatus.DONE, jobs.c.completed_at < completed_before)
        for page in self._pages(select(jobs).where(settled), jobs.c.id):
            yield [to_job(row) for row in page]

    def standing_media(self, attached_before: datetime) -> Iterator[list[KnownMedia]]:
        """Media that were put on a product for a job and not taken off by us, in pages.

        Without those that came back because another was unpublished: they are the merchant's now.
        """
        stands = and_(
            media.c.attached_at < attached_before,
            media.c.product_id.is_not(None),
            media.c.detached_at.is_(None),
            media.c.restored_at.is_(None),
        )
        for page in self._pages(select(media).where(stands), media.c.filename):
            yield [KnownMedia(**row._mapping) for row in page]

    def media_of_nobody(self) -> list[KnownMedia]:
        """Media whose job the ledger does not have."""
        query = select(media).where(~exists().where(jobs.c.id == media.c.job_id))
        return self._media(query)

    def unattached_media(self, created_before: datetime) -> list[KnownMedia]:
        """Media that were made and never put on a product, of jobs that are at rest for good."""
        at_rest = and_(jobs.c.status.in_(AT_REST), jobs.c.retry_at.is_(None))
        query = (
            select(media)
            .join(jobs, jobs.c.id == media.c.job_id)
            .where(media.c.attached_at.is_(None), media.c.detached_at.is_(None))
            .where(media.c.created_at < created_before, at_rest)
        )
        return self._media(query)

    def _media(self, query: Select[Any]) -> list[KnownMedia]:
        rows = self._database.all(query.order_by(media.c.filename))
        return [KnownMedia(**row._mapping) for row in rows]

    def _pages(self, query: Select[Any], place: ColumnElement[str]) -> Iterator[list[Any]]:
        """Rows in the order of a text column that no two have in common."""
        query = query.order_by(place).limit(PAGE)
        page = self._database.all(query)
        while page:
            yield page
            page = self._database.all(query.where(place > page[-1]._mapping[place]))

    # --- what of these is known ----------------------------------------------------------

    def known_jobs(self, job_ids: Collection[str]) -> frozenset[str]:
        """Which of these jobs there are."""
        return self._known(jobs.c.id, job_ids)

    def jobs_of(self, job_ids: Collection[str]) -> dict[str, Job]:
        """These jobs by their ids, as far as there are such jobs."""
        return {
            row.id: to_job(row)
            for part in batched(sorted(job_ids), PAGE)
            for row in self._database.all(select(jobs).where(jobs.c.id.in_(part)))
        }

    def known_media(self, media_ids: Collection[str]) -> frozenset[str]:
        """Which of these ids of the shop are media that we made."""
        return self._known(media.c.media_id, media_ids)

    def known_photos(self, skus: Collection[str]) -> frozenset[PhotoKey]:
        """All photos of these SKUs."""
        columns = jobs.c.sku, jobs.c.sha256, jobs.c.theme
        return frozenset(
            PhotoKey(*row)
            for part in batched(sorted(skus), PAGE)
            for row in self._database.all(select(*columns).where(jobs.c.sku.in_(part)))
        )

    def _known(self, column: ColumnElement[Any], values: Collection[str]) -> frozenset[str]:
        return frozenset(
            row[0]
            for part in batched(sorted(values), PAGE)
            for row in self._database.all(select(column).where(column.in_(part)))
        )

    # --- what does not move --------------------------------------------------------------

    def waiting(self, due_before: datetime) -> Waiting | None:
        """Jobs that have been due for a while, and wait for no budget, service or person."""
        since = func.coalesce(jobs.c.retry_at, jobs.c.updated_at)
        retries = and_(
            jobs.c.status == JobStatus.FAILED,
            jobs.c.retry_at.is_not(None),
            jobs.c.waits_for.is_(None),
        )
        handed_back = and_(IN_PROGRESS, jobs.c.run_id.is_(None), jobs.c.dispatch_id.is_(None))
        # Backfills go out a few at a time: theirs may wait for days.
        of_a_batch = and_(NOT_BEGUN, jobs.c.batch_id.is_not(None))
        due = and_(or_(jobs.c.status == JobStatus.NEW, retries, handed_back), ~of_a_batch)
        row = self._database.one(
            select(func.count(), func.min(since)).where(due, since < due_before)
        )
        return None if row is None or not row[0] else Waiting(int(row[0]), row[1])

    def open_spending(self, created_before: datetime) -> list[Spend]:
        """Purchases whose end was never written, of owners that hold no lease any more."""
        alive = exists().where(
            claims.c.owner == spending.c.owner, claims.c.expires_at > self._database.now()
        )
        query = select(spending).where(
            spending.c.state.in_(OPEN), spending.c.created_at < created_before, ~alive
        )
        return [to_spend(row) for row in self._database.all(query.order_by(spending.c.id))]

    def expired_leases(self, expired_before: datetime) -> list[ExpiredLease]:
        """Leases that ended a while ago and that nobody gave back."""
        query = select(claims.c.name, claims.c.expires_at)
        query = query.where(claims.c.expires_at < expired_before).order_by(claims.c.name)
        return [ExpiredLease(row.name, row.expires_at) for row in self._database.all(query)]
