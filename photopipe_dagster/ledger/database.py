"""Opening the ledger's database: pragmas, transactions and migrations.

Writing transactions on SQLite begin IMMEDIATE: they wait for their turn at the start, instead of
failing in the middle with "database is locked" when two readers both want to write.
"""

from __future__ import annotations

import functools
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Connection,
    Engine,
    Table,
    TextClause,
    bindparam,
    create_engine,
    event,
    inspect,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DisconnectionError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql import Executable

from photopipe_dagster.core.errors import ConfigurationError, JobError

BUSY_SECONDS: Final = 30
"""How long a writer on SQLite waits for its turn."""

_MIGRATING = threading.Lock()
"""Alembic keeps what it works on in globals: one ledger of a process at a time."""

MIGRATION_LOCK: Final = 0x70686F746F
"""Postgres advisory lock that lets one process migrate."""

UNAVAILABLE: Final = (OperationalError, PoolTimeout)
"""What every call raises while the database does not answer, is locked or has no room."""

_READS: Final = "photopipe_reads"
_RESTS_SINCE: Final = "photopipe_rests_since"

_READING: Final[dict[str, dict[str, Any]]] = {
    "sqlite": {_READS: True},
    # Each statement sees what is committed when it begins, with a transaction around it or without:
    # one trip to the server instead of three.
    "postgresql": {"isolation_level": "AUTOCOMMIT"},
}

_RESTED_SECONDS: Final = 5.0
"""A connection that has rested for so long is tried out before it is used: the server may have
started again meanwhile. Trying each out at every use was a trip to the server for each transaction.
"""

MIGRATIONS: Final = Path(__file__).parent / "migrations"


class Database:
    """The engine, with one way to read and one to write.

    Args:
        url: SQLAlchemy URL; ``sqlite:///path`` or ``postgresql://…``.
        clock: The time; tests pass their own.
    """

    def __init__(self, url: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.now = clock
        self.engine = _engine(url)
        # SQLite has one writer at a time, and lets the others poll for their turn: within this
        # process a lock wakes the next one at once.
        self._turn: AbstractContextManager[object] = (
            threading.Lock() if self.engine.dialect.name == "sqlite" else nullcontext()
        )
        self._reading = self.engine.execution_options(**_READING[self.engine.dialect.name])
        self.insert: Callable[[Any], Any] = (
            postgresql.insert if self.engine.dialect.name == "postgresql" else sqlite.insert
        )
        """INSERT of the dialect, with ``on_conflict_do_…``."""

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading."""
        with self._reading.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end."""
        with self._turn, self.engine.begin() as connection:
            yield connection

    def one(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Any | None:
        """The first row of a query, or ``None``.

        Args:
            values: Of its parameters.
        """
        with self.read() as connection:
            return connection.execute(statement, values).first()

    def value(self, statement: Executable) -> Any | None:
        """The first column of the first row of a query; ``None`` if there is no row."""
        row = self.one(statement)
        return None if row is None else row[0]

    def all(self, statement: Executable, values: Mapping[str, Any] | None = None) -> list[Any]:
        """All rows of a query; see `one`."""
        with self.read() as connection:
            return list(connection.execute(statement, values))

    def migrate(self) -> None:
        """Bring the schema to this version. One process at a time does it, the others wait.

        Raises:
            ConfigurationError: The ledger is older than the first revision that is kept, of a
                newer version of Photopipe, or no ledger.
        """
        scripts = ScriptDirectory(str(MIGRATIONS))
        version, first = self._version(), scripts.get_base()
        if version == scripts.get_current_head():
            return
        if version is not None and first is not None and version < first:
            raise ConfigurationError(
                f"The ledger is of revision {version}, and this version of photopipe reads none "
                f"before {first}. Back it up, open it once with an earlier version, such as commit "
                "b29f5f2 (`photopipe status` does), which brings it to its own revision, and start "
                "this one again."
            )
        known = {script.revision for script in scripts.walk_revisions()}
        if version is not None and version not in known:
            raise ConfigurationError(
                f"The ledger at {_place(self.engine.url)} is of revision {version[:64]}, which "
                "this version of Photopipe does not know: a newer version, or another program, "
                "made it. Install that version again, or name another ledger."
            )
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with _MIGRATING, self.write() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK}
                )
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _version(self) -> str | None:
        with self.read() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def upsert(
    table: Table, key: str, columns: Sequence[str], *, where: str = "", returning: str = ""
) -> TextClause:
    """An INSERT that changes the row of the same key if there is one; takes values by column.

    As text, which both dialects read: SQLAlchemy compiles its own upserts again each time, and that
    takes several times as long as running them.

    Args:
        columns: All that are set, the key among them.
        where: Which rows are changed at all; ``excluded`` is the new one.
        returning: A column that is returned if the row was made or changed.
    """
    names = ", ".join(columns)
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns if name != key)
    values = ", ".join(f":{name}" for name in columns)
    statement = (
        f"INSERT INTO {table.name} ({names}) VALUES ({values}) "  # noqa: S608  # names of ours
        f"ON CONFLICT ({key}) DO UPDATE SET {changes}"
        + (f" WHERE {where}" if where else "")
        + (f" RETURNING {returning}" if returning else "")
    )
    types = {column.name: column.type for column in table.columns}
    return text(statement).bindparams(*(bindparam(name, type_=types[name]) for name in columns))


def unavailable(error: Exception) -> JobError:
    """What a person reads of one of `UNAVAILABLE`: its own text quotes statements."""
    return JobError(
        f"The ledger's database could not be used: {_said(error)}. "
        "See that it is up and its disk has room, and that no other program keeps it locked "
        "(DATABASE_URL, DB_PATH). The photo is tried again.",
        details={"kind": "ledger"},
        retryable=True,
    )


def described(error: Exception) -> str:
    """One line for a person on any error of a database: which one it is, and what to do.

    Args:
        error: Of SQLAlchemy or a driver; those of the ledger's engine know where the ledger is.
    """
    trouble = next(iter(getattr(error, "__notes__", ())), None)
    return (
        f"{trouble or f'A database could not be used: {_said(error)}'}. See that it is up, that "
        "you may read and write it, that its disk has room, and that no other program keeps it "
        "locked."
    )


def _said(error: BaseException) -> str:
    said = str(getattr(error, "orig", error)).strip().splitlines()
    return said[0].strip().rstrip(".") if said else "it does not answer"


def _place(url: URL) -> str:
    """Where a ledger is, and which variable says so; without what is secret."""
    if url.get_backend_name() == "sqlite":
        return f"{url.database} (DB_PATH, DATA_DIR)"
    shown = URL.create(
        url.drivername, url.username, host=url.host, port=url.port, database=url.database
    )
    return f"{shown} (DATABASE_URL)"


def _note_place(url: URL, context: ExceptionContext) -> None:
    if context.sqlalchemy_exception is not None:
        said = _said(context.original_exception)
        if url.password:
            said = said.replace(str(url.password), "[hidden]")
        context.sqlalchemy_exception.add_note(
            f"The ledger at {_place(url)} could not be used: {said}"
        )


def _engine(url: str) -> Engine:
    engine = _new_engine(url)
    event.listen(engine, "handle_error", functools.partial(_note_place, engine.url))
    return engine


def _new_engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return _postgres(parsed)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise ConfigurationError(
            "DATABASE_URL must be sqlite:///path/to/file or postgresql://user@host/database."
        )
    if not parsed.database.startswith("file:"):
        _make_private(Path(parsed.database))
    engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)
    event.listen(engine, "connect", functools.partial(_set_up_sqlite, parsed.database))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private(path: Path) -> None:
    """Keep the ledger from other users: it holds signed URLs. SQLite's other files are made alike.

    Who may write stays so; who may only read may do so by a usual umask, which nobody chose.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            with suppress(FileNotFoundError, PermissionError):
                mode = file.stat().st_mode & 0o777
                kept = 0o770 if mode & 0o020 else 0o700
                if mode & ~kept:
                    file.chmod(mode & kept)


def _postgres(url: URL) -> Engine:
    try:
        engine = create_engine(
            url,
            pool_size=10,
            max_overflow=20,
            # Errors quote statements; their values may be signed URLs.
            hide_parameters=True,
        )
    except (ImportError, NoSuchModuleError) as error:
        raise ConfigurationError(
            f"DATABASE_URL is {url.drivername}://…, and its driver is not installed: "
            "pip install 'photopipe-dagster[postgres]' and use postgresql://…"
        ) from error
    event.listen(engine, "checkin", _rests)
    event.listen(engine, "checkout", functools.partial(_try_out, engine))
    return engine


def _rests(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info[_RESTS_SINCE] = time.monotonic()


def _try_out(
    engine: Engine, connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object
) -> None:
    since = record.info.get(_RESTS_SINCE)
    if since is None or time.monotonic() - since < _RESTED_SECONDS:
        return
    try:
        engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error as error:
        # The pool makes another one.
        raise DisconnectionError from error


def _set_up_sqlite(path: str, connection: sqlite3.Connection, _record: object) -> None:
    # SQLAlchemy, not the driver, says when a transaction begins.
    connection.isolation_level = None
    try:
        _set_pragmas(connection)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(
            f"The ledger at {path} (DB_PATH, DATA_DIR) cannot be read: {error}. Put a backup in "
            "its place, or name another file."
        ) from error


def _set_pragmas(connection: sqlite3.Connection) -> None:
    # WAL: readers never wait for the writer. FULL: what is paid survives a power cut.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get(_READS)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
