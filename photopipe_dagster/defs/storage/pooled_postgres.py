"""Dagster's storage in Postgres, over connections that are used for a while, events in batches.

Dagster opens a connection for every event that it writes and every run that it looks at, and
closes it: each is a process of the server. Only its webserver keeps some. This storage, where
`dagster.yaml` names it, keeps them in runs and in the daemon.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Final

from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
from dagster_postgres.utils import create_pg_connection

from photopipe_dagster.defs.storage.event_batches import EventBatches

_CONNECTION_SECONDS: Final = 2
"""How long a connection is used: less than a server takes to start again, whose old connections
would fail."""

_CONNECTIONS: Final = 20
"""At once, at most; a run writes its events one by one."""

_DATABASE: Final = "postgres"

_tables_are_there: Final[set[str]] = set()
"""Configurations of storages that this process has opened."""


class PooledPostgresEvents(EventBatches, PostgresEventLogStorage):
    """`PostgresEventLogStorage` with the same tables."""

    @contextmanager
    def transaction(self, run_id: str) -> Iterator[None]:
        """One transaction; all runs share a database."""
        with create_pg_connection(self._engine) as opened:
            connection = opened.execution_options(isolation_level="READ COMMITTED")
            with connection.begin(), self.joining({_DATABASE: connection}):
                yield

    def _connect(self) -> Any:
        joined = self.joined(_DATABASE)
        return super()._connect() if joined is None else nullcontext(joined)


class PooledPostgresStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage`, with the same configuration and the same tables."""

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> Any:
        """The storage that `dagster.yaml` describes; a process sees once that its tables are there.

        Each tick of a sensor opens the storage again.
        """
        asked = config_value
        if str(config_value) in _tables_are_there:
            asked = {**config_value, "should_autocreate_tables": False}
        storage = super().from_config_value(inst_data, asked)
        _tables_are_there.add(str(config_value))
        plain = storage._event_log_storage
        storage._event_log_storage = PooledPostgresEvents(
            plain.postgres_url, False, None, plain._token_provider
        )
        for part in (storage.event_log_storage, storage.run_storage, storage.schedule_storage):
            part.optimize_for_webserver(
                statement_timeout=0, pool_recycle=_CONNECTION_SECONDS, max_overflow=_CONNECTIONS
            )
        return storage
