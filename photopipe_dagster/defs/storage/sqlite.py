"""Dagster's storage in SQLite files, whose schema one process makes while the others wait.

Seen with Dagster 1.13: of three services that open a new home at the same moment, each finds no
tables and makes them, and one or two end with "table runs already exists" or "more than one head
present"; the second leaves a home that none can open any more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from filelock import FileLock

_LOCK: Final = ".photopipe-opening.lock"


class OpenedInTurnSqliteStorage(DagsterSqliteStorage):
    """`DagsterSqliteStorage`, with the same configuration and the same files."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        with FileLock(Path(base_dir) / _LOCK):
            super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> Any:
        """The storage that `dagster.yaml` describes."""
        return cls.from_local(inst_data=inst_data, **config_value)
