"""Several of Dagster's events in one transaction.

Dagster stores each event on its own: a connection, two to four statements and a commit to the disk
for each. A run of a hundred photos has a thousand events. `EventBatches` is mixed into Dagster's
event log storages: it writes what a new run plans, and what a run reports within `gathered`, in one
transaction. Each row is the one that Dagster would have written, in the same order.

A process that is killed meanwhile has written all events of a batch or none. What it had not
written, reconciliation reports from the ledger.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

if TYPE_CHECKING:
    from dagster._core.events.log import EventLogEntry

_MOST: Final = 200
"""Events of a transaction: it keeps other processes from writing for some 0.1 s at most."""


class EventBatches(SqlEventLogStorage):
    """Mixin for a storage of events; before the storage's class in the list of bases.

    A subclass opens its connections by `joined`, so that what belongs to a batch shares one.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Before the base class, which opens the database.
        self._local = threading.local()
        self._columns: dict[str, bool] = {}
        # Dagster hands over what a new run plans (five events a photo) at once only where this is
        # set: dagster/_core/instance/methods/event_methods.py.
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "1000")
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]  # Dagster's

    # --- writing ---

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event; within `gather`, at its end."""
        waiting = getattr(self._local, "waiting", None)
        if waiting is None:
            super().store_event(event)
        else:
            waiting.append(event)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events in their order, each with all rows that belong to it or with none."""
        for first in range(0, len(events), _MOST):
            self._store_together(events[first : first + _MOST])

    @contextmanager
    def gather(self) -> Iterator[None]:
        """Store what this thread reports within at the end, in one transaction.

        Raises:
            Exception: As the database has it. Nothing of the last transaction is stored then.
        """
        waiting: list[EventLogEntry] = []
        self._local.waiting = waiting
        try:
            yield
        finally:
            del self._local.waiting
            self.store_event_batch(waiting)

    def _store_together(self, events: Sequence[EventLogEntry]) -> None:
        for run_id in dict.fromkeys(event.run_id for event in events):
            self._local.assets = {}
            try:
                with self.transaction(run_id):
                    for event in events:
                        if event.run_id == run_id:
                            super().store_event(event)
                    self._store_assets()
            finally:
                del self._local.assets

    def _store_asset_event(self, conn: Any, event: EventLogEntry, event_id: int) -> None:
        """Store what is the last of an asset; of a batch once, and in the order of the assets.

        All runs update the same few rows: in any other order Postgres would see deadlocks.
        """
        assets = getattr(self._local, "assets", None)
        dagster_event = event.dagster_event
        if assets is None or dagster_event is None or dagster_event.asset_key is None:
            super()._store_asset_event(conn, event, event_id)
        else:
            which = dagster_event.asset_key.to_string(), dagster_event.event_type_value
            assets[which] = event, event_id

    def _store_assets(self) -> None:
        assets: dict[tuple[str, str], tuple[EventLogEntry, int]] = self._local.assets
        if assets:
            with self.index_transaction() as conn:
                for _, (event, event_id) in sorted(assets.items(), key=lambda item: item[0]):
                    super()._store_asset_event(conn, event, event_id)

    def _has_asset_key_col_on_connection(self, conn: Any, column_name: str) -> bool:
        # Dagster looks it up again for each event; a column is never taken away.
        if not self._columns.get(column_name):
            has = super()._has_asset_key_col_on_connection(conn, column_name)
            self._columns[column_name] = has
        return self._columns[column_name]

    # --- connections ---

    def transaction(self, run_id: str) -> AbstractContextManager[None]:
        """One transaction in each database of a run's events, for what this thread does within."""
        raise NotImplementedError

    def joined(self, database: str) -> Any:
        """The connection of the transaction that this thread is in, or `None`."""
        return getattr(self._local, "connections", {}).get(database)

    @contextmanager
    def joining(self, connections: dict[str, Any]) -> Iterator[None]:
        """Let what this thread does within go over connections that are in a transaction."""
        self._local.connections = connections
        try:
            yield
        finally:
            del self._local.connections


@contextmanager
def gathered(instance: dg.DagsterInstance) -> Iterator[None]:
    """Store the events that are reported within together, where the storage is one of ours."""
    storage: Any = instance.event_log_storage
    if isinstance(storage, EventBatches):
        with storage.gather():
            yield
    else:
        yield
