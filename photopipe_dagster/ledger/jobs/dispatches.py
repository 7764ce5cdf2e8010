"""Dispatches: jobs that go to runs together, and what became of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from types import MappingProxyType
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, true, update

from photopipe_dagster.core.errors import BUDGET
from photopipe_dagster.core.photo import STAGES, PhotoKey, Stage
from photopipe_dagster.ledger.breakers import Breaker
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.jobs.leases import job_lease
from photopipe_dagster.ledger.jobs.model import (
    EXTERNAL,
    IN_PROGRESS,
    KEY_COLUMNS,
    NOT_BEGUN,
    Job,
    has_status,
    queued,
    to_job,
)
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.tables import claims, jobs

_LOOKED_AT: Final = 1000
"""Of jobs that wait, the oldest so many are looked at."""

WORTH_A_RUN: Final = 10
"""Photos that a run brings to their end in the time that another one takes to start."""

_Kind = Literal["new", "retry", "handed back", "waits", "backfill"]
_KINDS: tuple[_Kind, ...] = ("new", "retry", "handed back", "waits", "backfill")

_ANY_PHOTO_EVERY: Final = 16
"""Failures in a row. With a quarter of an hour between probes, that is every four hours."""

_NOTHING_DOWN: Final[Mapping[Stage, Breaker]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Jobs that go to one run together.

    Args:
        id: Also Dagster's run key, so that the same dispatch is never launched twice.
        keys: Their photos.
        yields: Whether runs of photos that have just come in go first.
    """

    id: str
    keys: tuple[PhotoKey, ...]
    yields: bool = False


class Dispatches:
    """Which jobs go to runs, and which of those no run has picked up."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(
        self,
        *,
        photos_per_dispatch: int,
        limit: int,
        at_once: int = 1,
        may_pay: Callable[[Job], bool] = lambda _: True,
        down: Mapping[Stage, Breaker] = _NOTHING_DOWN,
    ) -> list[Dispatch]:
        """Take what is due into dispatches.

        Due are new jobs, retries, photos that a run handed back, and those that wait for the
        budget or for a service, and what `Batches.release` let go. Each dispatch holds one of
        these kinds only, oldest first.

        A photo that still needs a stage whose service is down stays where it is. When it is time
        to try the service again, and no photo on its way will, one photo goes out.

        Args:
            photos_per_dispatch: At most.
            limit: Photos of each kind at most.
            at_once: Runs that are to share a backlog.
            may_pay: Asked of each photo that waits for budget: whether there is some for it.
            down: Stages whose service is down.
        """
        free = and_(true(), *(~_needs(stage, breaker) for stage, breaker in down.items()))
        probing = self._probing(down)
        wanted = or_(free, *(each[-1] for each in probing))
        if not any(self._database.one(self._due(kind, wanted).limit(1)) for kind in _KINDS):
            return []
        dispatches: list[Dispatch] = []
        with self._database.write() as connection:
            for kind in _KINDS:
                query = self._due(kind, free).order_by(jobs.c.created_at, jobs.c.id)
                found = _found(connection, query.limit(limit), may_pay)
                for size in shares(len(found), photos_per_dispatch, at_once):
                    batch, found = found[:size], found[size:]
                    dispatches.append(self._send_out(connection, kind, batch))
            for each in probing:
                probes = (self._probe(connection, which, may_pay) for which in each)
                dispatches += islice(filter(None, probes), 1)
        return dispatches

    def _send_out(self, connection: Connection, kind: _Kind, batch: Collection[Job]) -> Dispatch:
        keys = tuple(job.key for job in batch)
        dispatch = Dispatch(secrets.token_hex(8), keys, yields=kind == "backfill")
        connection.execute(
            update(jobs)
            .where(jobs.c.id.in_([job.id for job in batch]))
            .values(self._dispatched(kind, dispatch.id))
        )
        return dispatch

    def _probe(
        self,
        connection: Connection,
        needs: ColumnElement[bool],
        may_pay: Callable[[Job], bool],
    ) -> Dispatch | None:
        """Send out one photo of those that need a service, the one that failed longest ago.

        So photos take turns: one at which the service always fails cannot keep it down for all.
        """
        longest_ago = func.coalesce(jobs.c.failed_at, jobs.c.created_at), jobs.c.id
        candidates = [
            (job.failed_at or job.created_at, job, kind)
            for kind in _KINDS
            for job in _found(
                connection, self._due(kind, needs).order_by(*longest_ago).limit(1), may_pay
            )
        ]
        if not candidates:
            return None
        _, job, kind = min(candidates, key=lambda candidate: candidate[0])
        return self._send_out(connection, kind, [job])

    def _probing(self, down: Mapping[Stage, Breaker]) -> list[list[ColumnElement[bool]]]:
        """For each service that is to be tried: which photos would come to call it, best first.

        Those are photos that need no other service that is down before they come to it. A shop is
        tried by one that has been paid for: it may refuse the picture, and then the next probe
        would pay for another one. Lest such photos are to blame, any photo goes now and then.
        """
        conditions = []
        before: list[ColumnElement[bool]] = []
        for stage in sorted(down, key=STAGES.index):
            breaker, needs = down[stage], _needs(stage, down[stage])
            due = breaker.retry_at is not None and breaker.retry_at <= self._database.now()
            if due and not self._on_the_way(needs):
                which = and_(needs, *(~each for each in before))
                paid = and_(which, jobs.c.composite_key.is_not(None))
                is_shop = stage not in KEY_COLUMNS and breaker.failures % _ANY_PHOTO_EVERY != 0
                conditions.append([paid, which] if is_shop else [which])
            before.append(needs)
        return conditions

    def _on_the_way(self, needs: ColumnElement[bool]) -> bool:
        """Whether a photo that needs a service is dispatched or in a run of ours."""
        taken = or_(jobs.c.dispatch_id.is_not(None), jobs.c.run_id.is_not(None))
        ours = jobs.c.run_id.is_distinct_from(EXTERNAL)
        query = select(jobs.c.id).where(IN_PROGRESS, taken, ours, needs)
        return self._database.one(query.limit(1)) is not None

    def _due(self, kind: _Kind, which: ColumnElement[bool]) -> Select[Any]:
        again = and_(has_status(JobStatus.FAILED), jobs.c.retry_at <= self._database.now())
        # As one expression: else SQLite reads all jobs that were never dispatched, by that index.
        free = func.coalesce(jobs.c.run_id, jobs.c.dispatch_id).is_(None)
        of_a_batch = and_(NOT_BEGUN, jobs.c.batch_id.is_not(None))
        match kind:
            case "new":
                due = and_(jobs.c.status == JobStatus.NEW, ~of_a_batch)
            case "retry":
                due = and_(again, jobs.c.waits_for.is_(None))
            case "waits":
                due = and_(again, jobs.c.waits_for.is_not(None))
            case "handed back":
                due = and_(IN_PROGRESS, free, ~of_a_batch)
            case "backfill":
                due = and_(of_a_batch, jobs.c.review.is_(None), free)
        # Found first and put in order then: else SQLite goes through all jobs in that order. Asked
        # of the row, too: Postgres asks it again when it has waited for the row's lock.
        found = select(jobs.c.id).where(due, which)
        return select(jobs).where(due, which, jobs.c.id.in_(found))

    def _dispatched(self, kind: _Kind, dispatch_id: str) -> dict[str, object]:
        now = self._database.now()
        values = {"dispatch_id": dispatch_id, "dispatched_at": now, "run_id": None}
        if kind == "handed back":
            return values
        if kind == "retry":
            values["retry_count"] = jobs.c.retry_count + 1
        return queued(now) | values

    def waiting_for(self) -> dict[str, int]:
        """How many photos wait for the budget, and for each service that is down."""
        return {name: count for name, count in self.due_later().items() if name is not None}

    def due_later(self) -> dict[str | None, int]:
        """How many failed photos continue automatically, by what they wait for; ``None``: a
        time."""
        waits = jobs.c.retry_at.is_not(None)
        query = select(jobs.c.waits_for, func.count()).where(waits).group_by(jobs.c.waits_for)
        return {row[0]: int(row[1]) for row in self._database.all(query)}

    def in_progress(self) -> tuple[int, int]:
        """How many photos on their way have no cut-out yet, and how many only no background."""
        on_their_way = select(func.count()).where(IN_PROGRESS)
        bare = jobs.c.mask_key.is_(None)
        cut_out = and_(jobs.c.mask_key.is_not(None), jobs.c.background_key.is_(None))
        values = [self._database.value(on_their_way.where(each)) for each in (bare, cut_out)]
        return values[0] or 0, values[1] or 0

    def undelivered(self, older_than_seconds: float) -> list[Dispatch]:
        """Dispatches some time ago whose photos no run has picked up."""
        limit = self._database.now() - timedelta(seconds=older_than_seconds)
        query = (
            select(jobs)
            .where(IN_PROGRESS, jobs.c.run_id.is_(None))
            .where(jobs.c.dispatch_id.is_not(None), jobs.c.dispatched_at < limit)
            .order_by(jobs.c.dispatch_id, jobs.c.created_at, jobs.c.id)
        )
        waiting: dict[str, list[PhotoKey]] = {}
        for row in self._database.all(query):
            waiting.setdefault(row.dispatch_id, []).append(to_job(row).key)
        return [Dispatch(name, tuple(keys)) for name, keys in waiting.items()]

    def abandoned(self) -> list[Job]:
        """Jobs that a run took up and holds no longer: the run died."""
        held = (
            select(claims.c.name)
            .where(claims.c.name == job_lease(jobs.c.id))
            .where(claims.c.expires_at > self._database.now())
        )
        query = select(jobs).where(IN_PROGRESS, jobs.c.run_id.is_not(None), ~held.exists())
        return [to_job(row) for row in self._database.all(query)]

    def not_taken_up(self, since: datetime) -> int:
        """How many photos have waited since before a moment for a run to take them up."""
        waits_since = func.coalesce(jobs.c.queued_at, jobs.c.created_at)
        query = select(func.count()).where(
            NOT_BEGUN, jobs.c.created_at < since, waits_since < since
        )
        return int(self._database.value(query) or 0)

    def waiting_since(self) -> datetime | None:
        """Since when the photo waits that has waited longest to be picked up by a run."""
        new = select(jobs.c.created_at.label("since")).where(jobs.c.status == JobStatus.NEW)
        queued = select(jobs.c.queued_at.label("since")).where(jobs.c.status == JobStatus.QUEUED)
        found = []
        for query in (new, queued):
            oldest = query.order_by(jobs.c.created_at).limit(_LOOKED_AT).subquery()
            found.append(self._database.value(select(func.min(oldest.c.since))))
        return min((since for since in found if since is not None), default=None)


def shares(photos: int, most: int, at_once: int) -> list[int]:
    """How many photos go to each run: a few to one, a backlog to as many as work side by side.

    Args:
        photos: How many are due.
        most: To one run.
        at_once: Runs that work side by side.

    Returns:
        Numbers that differ by one at most; empty where no photo is due.
    """
    runs = max(-(-photos // most), min(at_once, -(-photos // WORTH_A_RUN)))
    return [photos // runs + (place < photos % runs) for place in range(runs)] if runs else []


def _needs(stage: Stage, breaker: Breaker) -> ColumnElement[bool]:
    """Whether a photo still needs a stage, or waits for its service anyway.

    A picture of an old recipe is in the store, and yet is made again: the first try finds that out.
    """
    column = KEY_COLUMNS.get(stage)
    if column is None:  # every photo is published in the end
        return true()
    waits = jobs.c.waits_for.is_not_distinct_from(breaker.name)
    return or_(jobs.c[column].is_(None), waits)


def _found(connection: Connection, query: Select[Any], may_pay: Callable[[Job], bool]) -> list[Job]:
    found = [to_job(row) for row in connection.execute(query.with_for_update())]
    return [job for job in found if job.waiting_for != BUDGET or may_pay(job)]
