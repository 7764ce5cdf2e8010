"""Dagster's database of events, kept open while a run writes to it.

Dagster opens and closes it for every event. On SQLite, whoever closes a file last copies its
write-ahead log back and deletes it: several times the work of the event itself. While a run keeps
the files open, nobody is the last. On Postgres a connection is a process of the server, so a run
uses one for a while, as Dagster's webserver does.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Final

import dagster as dg

_log = logging.getLogger(__name__)

_INDEX: Final = "index"
"""The file of what is looked for across runs: materializations and checks."""

_CONNECTION_SECONDS: Final = 2
"""How long a connection is used: less than a server takes to start again, whose old connections
would fail."""

_CONNECTIONS: Final = 20
"""At once, at most; a run writes its events one by one."""


@contextmanager
def open_event_log_files(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Keep open what the events of a run go to.

    It only saves time: a file that cannot be opened is not kept open.
    """
    storage: Any = instance.event_log_storage
    with ExitStack() as stack:
        if hasattr(storage, "path_for_shard"):
            for shard in (run_id, _INDEX):
                try:
                    # Whoever ends an abandoned run may close it from another thread.
                    file = sqlite3.connect(storage.path_for_shard(shard), check_same_thread=False)
                    stack.enter_context(closing(file))
                    # SQLite opens a file when it is first read; no transaction is left open.
                    file.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
                except sqlite3.Error as error:
                    _log.debug("The events' file %s is not kept open: %s", shard, error)
        else:
            keep_connections(storage)
        yield


def keep_connections(storage: Any) -> None:
    """Let a part of Dagster's storage in Postgres use its connections for a while."""
    storage.optimize_for_webserver(
        statement_timeout=0, pool_recycle=_CONNECTION_SECONDS, max_overflow=_CONNECTIONS
    )
