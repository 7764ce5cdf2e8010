"""Events of jobs, and their way to the endpoints that are told of them.

Triggers of `jobs` write events, in the transaction of the change: none is forgotten, and none is
told of what did not happen. Each becomes one delivery an endpoint; what no try could deliver stays,
as a dead letter, until a person sends it again or it is too old.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Select, delete, insert, or_, select, update

from photopipe_dagster.core.errors import InvalidTransitionError, NotFoundError
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.tables import event_deliveries, job_events

TEST: Final = "test"
"""Kind of an event that a person sends to see whether it arrives."""

KEPT: Final = timedelta(days=7)
"""What was delivered is kept for so long."""

DEAD_KEPT: Final = timedelta(days=90)

_UNDER_WAY: Final = timedelta(seconds=60)
"""A sender that has not told what came of a try by then is dead."""


class DeliveryState(StrEnum):
    """How far a delivery is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that became of a job; ``job_id`` is ``None`` for a test."""

    id: int
    job_id: str | None
    kind: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to an endpoint.

    Args:
        endpoint: Name of the endpoint.
        attempts: Tries that have ended.
        due_at: When it is tried next.
        says: What came of the last try.
    """

    id: int
    event_id: int
    endpoint: str
    kind: str
    job_id: str | None
    state: DeliveryState
    attempts: int
    due_at: datetime
    payload: str
    status: int | None
    says: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def message_id(self) -> str:
        """The same for each try: by it, receivers know what they have had."""
        return f"msg_{self.event_id}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a try.

    Args:
        status: HTTP status; ``None``: nobody answered.
        again_in: When to try again; ``None``, if it was not delivered: never.
    """

    delivered: bool = False
    status: int | None = None
    says: str | None = None
    again_in: timedelta | None = None


class Deliveries:
    """The events and deliveries of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def new_events(self, limit: int) -> list[Event]:
        """Events that no delivery was made of yet, oldest first."""
        query = select(job_events).order_by(job_events.c.id).limit(limit)
        return [Event(**row._mapping) for row in self._database.all(query)]

    def take_up(
        self, events: Sequence[Event], payloads: Mapping[int, str], endpoints: Sequence[str]
    ) -> None:
        """Make a delivery to each endpoint of each event that has a payload; forget the events."""
        now = self._database.now()
        rows = [
            {
                "event_id": event.id,
                "endpoint": endpoint,
                "kind": event.kind,
                "job_id": event.job_id,
                "state": DeliveryState.PENDING,
                "attempts": 0,
                "due_at": now,
                "payload": payloads[event.id],
                "created_at": now,
                "updated_at": now,
            }
            for event in events
            if event.id in payloads
            for endpoint in endpoints
        ]
        with self._database.write() as connection:
            if rows:
                connection.execute(
                    self._database.insert(event_deliveries).on_conflict_do_nothing(), rows
                )
            ids = [event.id for event in events]
            connection.execute(delete(job_events).where(job_events.c.id.in_(ids)))

    def take_due(self, limit: int, endpoints: Collection[str]) -> list[Delivery]:
        """Deliveries to these endpoints that are due; nobody else takes them for a minute."""
        table, now = event_deliveries, self._database.now()
        due = (
            select(table.c.id)
            .where(table.c.state == DeliveryState.PENDING, table.c.due_at <= now)
            .where(table.c.endpoint.in_(endpoints))
            .order_by(table.c.due_at, table.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        with self._database.write() as connection:
            ids = list(connection.execute(due).scalars())
            connection.execute(
                update(table).where(table.c.id.in_(ids)).values(due_at=now + _UNDER_WAY)
            )
        return self._all(select(table).where(table.c.id.in_(ids)).order_by(table.c.id))

    def tried(self, delivery_id: int, outcome: Outcome) -> None:
        """Write down what came of a try."""
        table, now = event_deliveries, self._database.now()
        state = DeliveryState.DEAD
        if outcome.delivered:
            state = DeliveryState.DELIVERED
        elif outcome.again_in is not None:
            state = DeliveryState.PENDING
        with self._database.write() as connection:
            connection.execute(
                update(table)
                .where(table.c.id == delivery_id)
                .values(
                    state=state,
                    attempts=table.c.attempts + 1,
                    due_at=now + (outcome.again_in or timedelta(0)),
                    status=outcome.status,
                    says=outcome.says,
                    updated_at=now,
                )
            )

    def find(self, state: DeliveryState | None, *, limit: int, offset: int = 0) -> list[Delivery]:
        """Deliveries, newest first."""
        query = select(event_deliveries).order_by(event_deliveries.c.id.desc())
        if state is not None:
            query = query.where(event_deliveries.c.state == state)
        return self._all(query.limit(limit).offset(offset))

    def retry(self, delivery_id: int) -> Delivery:
        """Send a dead letter again, with all its tries.

        Raises:
            NotFoundError: There is no such delivery.
            InvalidTransitionError: It is not dead.
        """
        table, now = event_deliveries, self._database.now()
        with self._database.write() as connection:
            changed = connection.execute(
                update(table)
                .where(table.c.id == delivery_id, table.c.state == DeliveryState.DEAD)
                .values(state=DeliveryState.PENDING, attempts=0, due_at=now, updated_at=now)
            ).rowcount
        found = self._all(select(table).where(table.c.id == delivery_id))
        if not found:
            raise NotFoundError("delivery", delivery_id, "status")
        if not changed:
            raise InvalidTransitionError(
                f"Delivery {delivery_id} is {found[0].state}; only a dead one is sent again."
            )
        return found[0]

    def send_test(self) -> None:
        """Have an event sent that is about no job."""
        with self._database.write() as connection:
            connection.execute(insert(job_events).values(kind=TEST, at=self._database.now()))

    def prune(self) -> None:
        """Forget what was delivered a week ago, and dead letters of months ago."""
        table, now = event_deliveries, self._database.now()
        old = or_(
            (table.c.state == DeliveryState.DELIVERED) & (table.c.updated_at < now - KEPT),
            table.c.updated_at < now - DEAD_KEPT,
        )
        with self._database.write() as connection:
            connection.execute(delete(table).where(old))

    def _all(self, query: Select[Any]) -> list[Delivery]:
        return [
            Delivery(**{**row._mapping, "state": DeliveryState(row.state)})
            for row in self._database.all(query)
        ]
