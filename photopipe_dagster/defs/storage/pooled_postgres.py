"""Dagster's storage in Postgres, over connections that are used for a while.

Dagster opens a connection for every event that it writes and every run that it looks at, and
closes it: each is a process of the server. Only its webserver keeps some. This storage, where
`dagster.yaml` names it, keeps them in runs and in the daemon, which writes five events a photo.
"""

from __future__ import annotations

from typing import Any

from dagster_postgres import DagsterPostgresStorage

from photopipe_dagster.defs.storage.event_log_files import keep_connections


class PooledPostgresStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage`, with the same configuration."""

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> Any:
        """The storage that `dagster.yaml` describes."""
        storage = super().from_config_value(inst_data, config_value)
        keep_connections(storage.event_log_storage)
        keep_connections(storage.run_storage)
        return storage
