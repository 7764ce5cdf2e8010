"""Dagster's storage in SQLite files: opened in turn, over connections that are kept.

Seen with Dagster 1.13:

* Of three services that open a new home at the same moment, each finds no tables and makes them.
  One or two end with "table runs already exists" or "more than one head present"; the second leaves
  a home that none can open any more.
* Each event has a new engine, a new connection and a new plan of its statements, and anyone who
  closes a SQLite file last copies its write-ahead log back: several times the work of the event
  itself. The same for each look at a run, a sensor or its ticks.
* A sensor's tick opens the storage again, and each opening has alembic read all of Dagster's
  migrations, three times: three quarters of what a tick with nothing to do takes.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dagster import Field, StringSource
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SqliteEventLogStorage,
)
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS, create_db_conn_string
from dagster._core.storage.sqlite_storage import (
    DagsterSqliteStorage,
    _event_logs_directory,
    _runs_directory,
    _schedule_directory,
)
from filelock import FileLock
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import QueuePool, StaticPool

from photopipe_dagster.defs.storage.event_batches import EventBatches

_LOCK: Final = ".photopipe-opening.lock"

_KEPT: Final = 8
"""Databases that stay open: the index, and those of the runs that were used last."""


_File = tuple[str, int, int]
"""Path, device and inode: a file that was removed and made again is another."""

_made: Final[set[_File]] = set()
"""Files whose tables this process has made, or found to be there."""


@dataclass(frozen=True, slots=True)
class _Opened:
    engine: Engine
    file: _File


class SqliteEvents(EventBatches, SqliteEventLogStorage):
    """`SqliteEventLogStorage` with the same files."""

    def __init__(self, base_dir: str) -> None:
        self._engines: OrderedDict[str, _Opened] = OrderedDict()
        super().__init__(base_dir)
        self._db_lock = threading.RLock()  # type: ignore[assignment]  # a batch uses two databases

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        if (joined := self.joined(shard)) is not None:
            yield joined
            return
        with self._db_lock, self._engine_of(shard).begin() as connection:
            yield connection

    @contextmanager
    def transaction(self, run_id: str) -> Iterator[None]:
        """One transaction in the file of the run and one in the index."""
        with (
            self._db_lock,
            self._connect(run_id) as run,
            self._connect(INDEX_SHARD_NAME) as index,
            self.joining({run_id: run, INDEX_SHARD_NAME: index}),
        ):
            yield

    def has_table(self, table_name: str) -> bool:
        """Whether the index has a table."""
        with self._connect(INDEX_SHARD_NAME) as connection:
            return bool(connection.dialect.has_table(connection, table_name))

    def dispose(self) -> None:
        """Close all files."""
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].engine.dispose()
        super().dispose()

    def _engine_of(self, shard: str) -> Engine:
        path = self.path_for_shard(shard)
        opened = self._engines.get(shard)
        if opened is not None and opened.file != _identity(path):
            self._engines.pop(shard).engine.dispose()
            opened = None
        if opened is None:
            opened = self._open(shard, path)
        self._engines[shard] = opened
        self._engines.move_to_end(shard)
        if len(self._engines) > _KEPT:
            oldest = next(name for name in self._engines if name != INDEX_SHARD_NAME)
            self._engines.pop(oldest).engine.dispose()
        return opened.engine

    def _open(self, shard: str, path: str) -> _Opened:
        # One connection, for whichever thread has the lock.
        engine = create_engine(
            create_db_conn_string(self._base_dir, shard),
            poolclass=StaticPool,
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
        )
        if _identity(path) not in _made:
            self._initdb(engine, for_index_shard=shard == INDEX_SHARD_NAME)
        file = _identity(path)
        if file is None:
            engine.dispose()
            raise FileNotFoundError(f"Dagster's file of events is gone: {path}")
        _made.add(file)
        return _Opened(engine, file)


class _KeptFile:
    """Mixin for a storage in one file: its connections are kept between uses.

    Before the storage's class in the list of bases.
    """

    def __init__(self, conn_string: str, inst_data: Any = None) -> None:
        self._opened: _Opened | None = None
        self._opening = threading.Lock()
        super().__init__(conn_string, inst_data)  # type: ignore[call-arg]  # the storage's

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection in a transaction."""
        with self._engine().begin() as connection:
            yield connection

    def dispose(self) -> None:
        """Close the file."""
        with self._opening:
            if self._opened is not None:
                self._opened.engine.dispose()
                self._opened = None

    def _engine(self) -> Engine:
        conn_string: str = self._conn_string  # type: ignore[attr-defined]  # the storage's
        file = _identity(conn_string.removeprefix("sqlite:///"))
        with self._opening:
            opened = self._opened
            if opened is not None and opened.file == file:
                return opened.engine
            if opened is not None:
                opened.engine.dispose()
            engine = create_engine(conn_string, poolclass=QueuePool, max_overflow=-1)
            # Of a file that is gone, the first use says so.
            self._opened = None if file is None else _Opened(engine, file)
            return engine


class SqliteRuns(_KeptFile, SqliteRunStorage):
    """`SqliteRunStorage` with the same file."""

    _has_stats = False

    def has_run_stats_index_cols(self) -> bool:
        """Dagster looks it up each second; a column is never taken away."""
        self._has_stats = self._has_stats or bool(super().has_run_stats_index_cols())
        return self._has_stats


class SqliteSchedules(_KeptFile, SqliteScheduleStorage):
    """`SqliteScheduleStorage` with the same file."""

    def __init__(self, conn_string: str, inst_data: Any = None) -> None:
        self._built: set[str] = set()
        super().__init__(conn_string, inst_data)

    def has_built_index(self, migration_name: str) -> bool:
        """Dagster looks it up at each tick; what is built stays."""
        if migration_name not in self._built and super().has_built_index(migration_name):
            self._built.add(migration_name)
        return migration_name in self._built


class SqliteStorage(DagsterSqliteStorage):
    """`DagsterSqliteStorage`, with the same files.

    Its ``base_dir`` is DAGSTER_HOME where it is left out, and DATA_DIR/dagster where that is not
    set: the home of `photopipe dev`.
    """

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        super(DagsterSqliteStorage, self).__init__()  # type: ignore[no-untyped-call]  # Dagster's
        self.base_dir, self._inst_data = base_dir, inst_data
        runs, schedules = _runs_directory(base_dir), _schedule_directory(base_dir)
        events = _event_logs_directory(base_dir)
        files = [
            Path(folder, f"{name}.db")
            for folder, name in ((runs, "runs"), (schedules, "schedules"), (events, "index"))
        ]
        if not {_identity(str(file)) for file in files} <= _made:
            with FileLock(Path(base_dir) / _LOCK):
                DagsterSqliteStorage(base_dir).dispose()  # makes what is missing
            _made.update(filter(None, (_identity(str(file)) for file in files)))
        self._run_storage = SqliteRuns(create_db_conn_string(runs, "runs"))
        self._event_log_storage = SqliteEvents(events)
        self._schedule_storage = SqliteSchedules(create_db_conn_string(schedules, "schedules"))

    @classmethod
    def config_type(cls) -> Any:
        """What `dagster.yaml` may say."""
        return {"base_dir": Field(StringSource, is_required=False)}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> Any:
        """The storage that `dagster.yaml` describes."""
        home = config_value.get("base_dir") or os.environ.get("DAGSTER_HOME")
        if not home:
            home = str(Path(os.environ.get("DATA_DIR") or "data", "dagster").resolve())
        return cls.from_local(home, inst_data)


def _identity(path: str) -> _File | None:
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        return None
    return path, found.st_dev, found.st_ino
