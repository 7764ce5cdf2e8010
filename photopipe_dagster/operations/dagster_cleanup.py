"""What Dagster's own deleting leaves behind, so that an instance stays as small as what it shows.

Seen with Dagster 1.13: `DagsterInstance.delete_run` leaves the run's SQLite file (140 kB and more),
its captured output and its asset check evaluations with their pictures; and it forgets the run
before its events, so that a kill in between leaves them for good. Events that belong to no run,
which an outside orchestrator's work and repairs are told by, can only be wiped for whole assets.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, Final

import dagster as dg
from sqlalchemy import BindParameter, Connection, bindparam, text

from photopipe_dagster.core.errors import ConfigurationError

_NO_RUN: Final = ""
"""Dagster's run id of events that belong to no run."""

_EVALUATIONS: Final = text("DELETE FROM asset_check_executions WHERE run_id IN :runs").bindparams(
    bindparam("runs", expanding=True)
)

_OF_NO_RUN: Final = (
    "FROM event_logs WHERE asset_key IN :assets AND partition IN :partitions "
    "AND dagster_event_type = 'ASSET_MATERIALIZATION' AND run_id = :no_run"
)
_PARTS: Final[tuple[BindParameter[Any], ...]] = (
    bindparam("assets", expanding=True),
    bindparam("partitions", expanding=True),
)
_TAGS: Final = text(
    f"DELETE FROM asset_event_tags WHERE event_id IN (SELECT id {_OF_NO_RUN})"  # noqa: S608
).bindparams(*_PARTS)
_EVENTS: Final = text(f"DELETE {_OF_NO_RUN}").bindparams(*_PARTS)

_INDEX: Final = "index"
"""Name of the SQLite file with the events of all runs that are about assets."""

_FILES_OF_A_RUN: Final = ("", "-wal", "-shm", "-journal")


def delete_runs(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> None:
    """Delete runs with everything that they left. Each run is forgotten last of all.

    Interrupted, it can be begun again: a run that still is there is deleted again.
    """
    storage: Any = instance.event_log_storage
    _execute(getattr(storage, "index_connection", None), _EVALUATIONS, runs=list(run_ids))
    for run_id in run_ids:
        _delete_events(storage, run_id)
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        instance.run_storage.delete_run(run_id)


def delete_events_of_no_run(
    instance: dg.DagsterInstance, assets: Iterable[dg.AssetKey], partitions: Sequence[str]
) -> None:
    """Delete materializations of partitions that were reported without a run."""
    storage: Any = instance.event_log_storage
    values = {
        "assets": [asset.to_string() for asset in assets],
        "partitions": list(partitions),
        "no_run": _NO_RUN,
    }
    index = getattr(storage, "index_connection", None)
    for statement in (_TAGS, _EVENTS):
        _execute(index, statement, **values)
    of_runs = getattr(storage, "run_connection", None)
    if of_runs is not None:  # on SQLite a file of its own, else the same table once more
        _execute(lambda: of_runs(_NO_RUN), _EVENTS, **values)


def vacuum(instance: dg.DagsterInstance) -> int:
    """Give back to the disk what deleting has left free in Dagster's SQLite files.

    Without it they do not grow until that is used up again. Other databases do it by themselves.

    Returns:
        Bytes that were given back.

    Raises:
        ConfigurationError: Dagster is at work on them.
    """
    path_of = getattr(instance.event_log_storage, "path_for_shard", None)
    if path_of is None:
        return 0
    index = Path(path_of(_INDEX))
    files = [path for path in (index, index.parents[1] / "runs.db") if path.exists()]
    before = sum(path.stat().st_size for path in files)
    for path in files:
        try:
            with closing(sqlite3.connect(path)) as database:
                database.execute("VACUUM")
        except sqlite3.OperationalError as error:
            raise ConfigurationError(
                f"{path} cannot be made smaller now ({error}): stop Dagster first, and see that "
                "the disk has room for a copy."
            ) from error
    return before - sum(path.stat().st_size for path in files)


def _execute(
    connect: Callable[[], AbstractContextManager[Connection]] | None,
    statement: Any,
    **values: object,
) -> None:
    if connect is None:
        return  # a storage that is no database of ours to look into: it keeps what it keeps
    with connect() as connection:
        connection.execute(statement, values)


def _delete_events(storage: Any, run_id: str) -> None:
    """The events of a run, and on SQLite the file that it had for them."""
    path_of = getattr(storage, "path_for_shard", None)
    if path_of is None:
        storage.delete_events(run_id)
        return
    path = path_of(run_id)
    if Path(path).exists():  # if not, an earlier try has deleted its events, and then the file
        storage.delete_events(run_id)
    for suffix in _FILES_OF_A_RUN:
        Path(path + suffix).unlink(missing_ok=True)
