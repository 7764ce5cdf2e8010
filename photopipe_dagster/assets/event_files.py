"""Dagster's SQLite files of events, kept open while a run writes to them.

Dagster opens and closes them for every event. Whoever closes one last copies its write-ahead log
back and deletes it: several times the work of the event itself. While a run keeps them open, nobody
is the last.
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


@contextmanager
def kept_open(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Keep the files open that the events of a run go to; nothing to do on another database.

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
        yield
