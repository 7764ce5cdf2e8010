"""Looking at jobs: one of them, lists of them, and how many there are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, case, func, or_, select, true, tuple_, union_all

from photopipe_dagster.core.batched import batched
from photopipe_dagster.core.errors import ErrorCode, NotFoundError
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.jobs.model import Job, has_status, to_job
from photopipe_dagster.ledger.jobs.statuses import AT_REST, DECIDED, JobStatus, Review
from photopipe_dagster.ledger.stats.job_counts import Counts
from photopipe_dagster.ledger.tables import jobs, products

PAGE: Final = 500
"""Rows that are read at once, and values that are asked for at once."""

_SKUS_MATCHED: Final = 50
"""So many SKUs that contain what is asked for are named in the search for jobs."""

_NEWEST: Final = (jobs.c.created_at.desc(), jobs.c.id.desc())


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs to list; ``None`` and an empty tuple mean any.

    Args:
        sku: The SKU itself.
        sku_part: What the SKU contains, in any case.
        text: What the SKU, or the product's title or handle, contains, in any case.
        waiting: Only those that wait for a person's review.
        review: What a person has to say, or has said.
        created_from: Came in then, or later.
        created_before: Came in earlier.
        after: Creation and id of a job: only those that come after it in the list.
        error: Only those that failed with this code.
    """

    statuses: tuple[JobStatus, ...] = ()
    theme: str | None = None
    sku: str | None = None
    sku_part: str | None = None
    text: str | None = None
    waiting: bool = False
    review: Review | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    after: tuple[datetime, str] | None = None
    error: ErrorCode | None = None

    @property
    def counted(self) -> bool:
        """Whether the ledger keeps count of such jobs."""
        given = (
            self.sku,
            self.sku_part,
            self.text,
            self.error,
            self.review,
            self.created_from,
            self.created_before,
        )
        return all(each is None for each in given) and not self.waiting


ANY: Final = JobQuery()


@dataclass(frozen=True, slots=True)
class JobStats:
    """Counts and costs over all jobs."""

    by_status: Mapping[JobStatus, int]
    total_cost: Decimal

    @property
    def total(self) -> int:
        """How many jobs there are."""
        return sum(self.by_status.values())


class JobQueries:
    """Looks at the jobs of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counts = Counts(database)

    def get(self, job_id: str) -> Job | None:
        """The job of that id."""
        row = self._database.one(select(jobs).where(jobs.c.id == job_id))
        return None if row is None else to_job(row)

    def require(self, job_id: str) -> Job:
        """The job of that id; NotFoundError if there is none."""
        job = self.get(job_id)
        if job is None:
            raise NotFoundError("job", job_id, "status")
        return job

    # --- lists -----------------------------------------------------------------------------

    def find(self, which: JobQuery, *, limit: int, offset: int = 0) -> list[Job]:
        """Jobs, newest first."""
        conditions = self._conditions(which)
        if which.after is not None:
            conditions.append(tuple_(jobs.c.created_at, jobs.c.id) < which.after)
        elif which.counted:
            begin, offset = self._counts.skip(offset, statuses=which.statuses, theme=which.theme)
            conditions.append(begin)
        page = select(jobs.c.id, jobs.c.created_at).where(*conditions).order_by(*_NEWEST)
        # The page is found in an index alone: only its own rows are read.
        page = _of_statuses(page, which.statuses, limit + offset).limit(limit).offset(offset)
        ids = [row.id for row in self._database.all(page)]
        return self._all(select(jobs).where(jobs.c.id.in_(ids)).order_by(*_NEWEST))

    def count(self, which: JobQuery) -> int:
        """How many jobs `find` would give without a limit and from the list's beginning."""
        if which.counted:
            counts = self._counts.by_status(which.theme)
            return sum(counts[status].jobs for status in which.statuses or counts)
        query = select(func.count()).select_from(jobs).where(*self._conditions(which))
        if which.statuses:
            query = query.where(jobs.c.status.in_(which.statuses))
        return int(self._database.value(query) or 0)

    def stats(self) -> JobStats:
        """Counts by status and the sum of costs."""
        counts = self._counts.by_status()
        return JobStats(
            {status: count.jobs for status, count in counts.items()},
            sum((count.cost for count in counts.values()), Decimal(0)),
        )

    def with_sku_or_part(self, text: str) -> JobQuery:
        """Jobs of the SKU itself; where there is none, of those that contain it in any case."""
        itself = JobQuery(sku=text)
        return itself if self.count(itself) else JobQuery(sku_part=text)

    def _alike(self, part: str) -> ColumnElement[bool]:
        """Whether a SKU contains a text, in any case.

        Those few that do are found in an index, once; where there are many, the newest jobs have
        some among them.
        """
        alike = _contains(part, jobs.c.sku)
        query = select(jobs.c.sku).where(alike).distinct().limit(_SKUS_MATCHED + 1)
        found = [row.sku for row in self._database.all(query)]
        return alike if len(found) > _SKUS_MATCHED else jobs.c.sku.in_(found)

    def _of_product_like(self, part: str) -> ColumnElement[bool]:
        """Whether the title or handle of a job's product contains a text, in any case."""
        query = select(products.c.sku).where(_contains(part, products.c.title, products.c.handle))
        found = [row.sku for row in self._database.all(query.limit(_SKUS_MATCHED + 1))]
        if len(found) <= _SKUS_MATCHED:
            return jobs.c.sku.in_(found)
        # Asked plainly, all jobs of all these products would be read and put in order.
        return case((jobs.c.sku.in_(query), 1), else_=0) == 1

    def of_photo(self, job: Job) -> list[Job]:
        """The other themes of a job's photo."""
        photo = jobs.c.sku == job.key.sku, jobs.c.sha256 == job.key.sha256
        return self._all(select(jobs).where(*photo, jobs.c.id != job.id).order_by(jobs.c.theme))

    def published_by(self, run_id: str, since: datetime) -> list[Job]:
        """Jobs that a run brought to DONE.

        Args:
            since: When it was launched, or before.
        """
        query = select(jobs).where(
            jobs.c.run_id == run_id,
            has_status(JobStatus.DONE),
            jobs.c.completed_at >= since,
        )
        return self._all(query)

    # --- what is at rest, and what failed ----------------------------------------------------

    def statuses(self, job_ids: Collection[str]) -> dict[str, JobStatus]:
        """The statuses of these jobs by their ids, as far as there are such jobs."""
        query = select(jobs.c.id, jobs.c.status)
        return {
            row.id: JobStatus(row.status)
            for part in batched(job_ids, PAGE)
            for row in self._database.all(query.where(jobs.c.id.in_(part)))
        }

    def at_rest(self, job_ids: Collection[str], before: datetime) -> set[str]:
        """Which of these jobs have been at rest since before a moment; a page at most."""
        query = select(jobs.c.id).where(
            jobs.c.id.in_(job_ids),
            has_status(*AT_REST),
            jobs.c.retry_at.is_(None),
            jobs.c.updated_at < before,
        )
        return {row.id for row in self._database.all(query)}

    def photos_not_at_rest(self, skus: Collection[str]) -> set[tuple[str, str]]:
        """SKU and SHA-256 of photos of these SKUs that some job may still need."""
        query = select(jobs.c.sku, jobs.c.sha256).where(
            jobs.c.sku.in_(skus),
            or_(jobs.c.status.not_in(AT_REST), jobs.c.retry_at.is_not(None)),
        )
        return {(row.sku, row.sha256) for row in self._database.all(query)}

    def runs_of_changed(self, run_ids: Collection[str], since: datetime) -> set[str]:
        """Which of these runs were the last of a job that has changed since."""
        query = select(jobs.c.run_id.distinct()).where(
            jobs.c.run_id.in_(run_ids), jobs.c.updated_at >= since
        )
        return {row.run_id for row in self._database.all(query)}

    def photos(self, skus: Collection[str] | None = None) -> list[tuple[str, str]]:
        """SKU and SHA-256 of the photos of these SKUs, in order; ``None``: of all."""
        query = select(jobs.c.sku, jobs.c.sha256).distinct().order_by(jobs.c.sku, jobs.c.sha256)
        parts = [true()] if skus is None else [jobs.c.sku.in_(p) for p in batched(skus, PAGE)]
        rows = (row for part in parts for row in self._database.all(query.where(part)))
        return [(row.sku, row.sha256) for row in rows]

    def done_in(self, themes: Collection[str]) -> Iterator[list[tuple[PhotoKey, int | None]]]:
        """Photos that are DONE in these themes, a page at a time, with their theme's revision."""
        place = tuple_(jobs.c.created_at, jobs.c.id)  # as an index has them, theme by theme
        done = select(
            jobs.c.sku, jobs.c.sha256, jobs.c.theme_revision, jobs.c.created_at, jobs.c.id
        )
        done = done.where(jobs.c.status == JobStatus.DONE).order_by(*place.clauses).limit(PAGE)
        for theme in themes:
            query = done.where(jobs.c.theme == theme)
            page = self._database.all(query)
            while page:
                yield [(PhotoKey(row.sku, row.sha256, theme), row.theme_revision) for row in page]
                page = self._database.all(query.where(place > (page[-1].created_at, page[-1].id)))

    def failed_for_good(
        self,
        codes: Collection[ErrorCode] = (),
        since: datetime | None = None,
        which: JobQuery = ANY,
    ) -> list[PhotoKey]:
        """Photos that failed and are not tried again, in the order in which they did.

        Args:
            codes: With one of these; empty: with any.
            which: Only among those, whatever their status.
        """
        query = select(jobs.c.sku, jobs.c.sha256, jobs.c.theme).where(
            jobs.c.status == JobStatus.FAILED, jobs.c.retry_at.is_(None), *self._conditions(which)
        )
        if codes:
            query = query.where(jobs.c.error_code.in_([code.value for code in codes]))
        if since is not None:
            query = query.where(jobs.c.failed_at >= since)
        rows = self._database.all(query.order_by(jobs.c.failed_at, jobs.c.id))
        return [PhotoKey(*row) for row in rows]

    def count_decided(self, since: datetime | None = None) -> int:
        """How many jobs a person has stopped or rejected, since a moment or ever."""
        query = select(func.count()).where(jobs.c.status.in_(DECIDED))
        if since is not None:
            query = query.where(func.coalesce(jobs.c.cancelled_at, jobs.c.reviewed_at) >= since)
        return int(self._database.value(query) or 0)

    def failures(self, after: datetime, until: datetime) -> dict[ErrorCode, int]:
        """How many jobs failed for good in a time, by error code, most first."""
        count = func.count()
        query = select(jobs.c.error_code, count).where(*_for_good(after, until))
        query = query.group_by(jobs.c.error_code).order_by(count.desc(), jobs.c.error_code)
        return {ErrorCode(code): found for code, found in self._database.all(query)}

    def failed_with(
        self, code: ErrorCode, after: datetime, until: datetime, *, limit: int
    ) -> list[Job]:
        """Jobs that failed for good in a time with an error code, the last first."""
        query = select(jobs).where(*_for_good(after, until), jobs.c.error_code == code)
        return self._all(query.order_by(jobs.c.failed_at.desc()).limit(limit))

    def _conditions(self, which: JobQuery) -> list[ColumnElement[bool]]:
        """All but the statuses."""
        exact = {jobs.c.theme: which.theme, jobs.c.sku: which.sku}
        conditions = [column == value for column, value in exact.items() if value is not None]
        if which.sku_part is not None:
            conditions.append(self._alike(which.sku_part))
        if which.text is not None:
            conditions.append(or_(self._alike(which.text), self._of_product_like(which.text)))
        if which.waiting:
            conditions.append(jobs.c.review == Review.WAITING)
        if which.review is not None:
            conditions.append(jobs.c.review == which.review)
        if which.created_from is not None:
            conditions.append(jobs.c.created_at >= which.created_from)
        if which.created_before is not None:
            conditions.append(jobs.c.created_at < which.created_before)
        if which.error is not None:
            # Found by the index of those that failed, which are few.
            conditions += [jobs.c.failed_at.is_not(None), jobs.c.error_code == which.error]
        return conditions

    def _all(self, query: Select[Any]) -> list[Job]:
        return [to_job(row) for row in self._database.all(query)]


def _contains(part: str, *columns: ColumnElement[str]) -> ColumnElement[bool]:
    # Of all databases only ASCII's small letters are known to be.
    spellings = {part} if part.isascii() else sorted({part, part.lower(), part.upper()})
    return or_(*(c.icontains(each, autoescape=True) for c in columns for each in spellings))


def _for_good(after: datetime, until: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        has_status(JobStatus.FAILED),
        jobs.c.retry_at.is_(None),
        jobs.c.failed_at > after,
        jobs.c.failed_at <= until,
    )


def _of_statuses(newest: Select[Any], statuses: tuple[JobStatus, ...], at_most: int) -> Select[Any]:
    """Those of a list of jobs, newest first, that have one of these statuses; empty: any."""
    if not statuses:
        return newest
    if len(statuses) == 1:
        return newest.where(jobs.c.status == statuses[0])
    # One list for each, as an index has them: else all that have one would be put in order.
    lists = [
        select(newest.where(jobs.c.status == status).limit(at_most).subquery())
        for status in statuses
    ]
    every = union_all(*lists).subquery()
    return select(every).order_by(every.c.created_at.desc(), every.c.id.desc())
