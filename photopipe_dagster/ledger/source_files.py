"""Files that sources have, and what became of each: those that wait for a person are the tray."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import func, select, update

from photopipe_dagster.core.batched import batched
from photopipe_dagster.core.errors import InvalidTransitionError, NotFoundError
from photopipe_dagster.ledger.database import Database, upsert
from photopipe_dagster.ledger.tables import source_files


class FileState(StrEnum):
    """What became of a file."""

    TAKEN = "taken"
    """It has its job."""
    UNMATCHED = "unmatched"
    """Its name does not say which product it shows: it waits for a person, or the product."""
    REFUSED = "refused"
    """It is no photo that can be worked with: it waits for a person, or to be replaced."""
    DROPPED = "dropped"
    """A person has said that it is none of ours."""


WAITING: Final = (FileState.UNMATCHED, FileState.REFUSED)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a source.

    Args:
        source: The plug-in's name.
        ref: Where it is, as in an `Announcement`; no secret.
        name: Its path below the source, for people.
        version: Another one whenever its bytes are others.
        reason: Why it waits.
        sku: Which product it shows, where it was taken.
    """

    source: str
    ref: str
    name: str
    version: str
    state: FileState
    reason: str | None = None
    theme: str | None = None
    sku: str | None = None
    job_id: str | None = None
    seen_at: datetime | None = None
    settled_at: datetime | None = None
    settled_by: str | None = None

    @property
    def id(self) -> str:
        """16 lower-case letters and digits, the same for each version."""
        digest = hashlib.sha256(f"{self.source}\0{self.ref}".encode()).digest()
        return base64.b32encode(digest[:10]).decode().lower()

    @property
    def waits(self) -> bool:
        """Whether it is in the tray."""
        return self.state in WAITING


_COLUMNS: Final = [column.name for column in source_files.columns]
_KEPT: Final = upsert(source_files, "id", _COLUMNS)
_FIELDS: Final = [name for name in _COLUMNS if name != "id"]


class SourceFiles:
    """The files of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, files: Iterable[SourceFile]) -> dict[str, SourceFile]:
        """Those of these files that were seen before, by their references, as they were then."""
        found: dict[str, SourceFile] = {}
        for ids in batched([file.id for file in files], 500):
            rows = self._database.all(select(source_files).where(source_files.c.id.in_(ids)))
            found |= {row.ref: _read(row._mapping) for row in rows}
        return found

    def keep(self, files: Collection[SourceFile], *, by: str | None = None) -> None:
        """Keep what became of files.

        Args:
            by: The person who said so.
        """
        now = self._database.now()
        rows = [
            {name: getattr(file, name) for name in _COLUMNS}
            | {"seen_at": file.seen_at or now}
            | ({} if file.waits else {"settled_at": now, "settled_by": by})
            for file in files
        ]
        if rows:
            with self._database.write() as connection:
                connection.execute(_KEPT, rows)

    def waiting(self, *, source: str | None = None, limit: int = 50) -> list[SourceFile]:
        """The tray: files that wait, the newest first.

        Args:
            source: Of this plug-in alone.
        """
        query = select(source_files).where(source_files.c.state.in_(WAITING))
        if source is not None:
            query = query.where(source_files.c.source == source)
        query = query.order_by(source_files.c.seen_at.desc(), source_files.c.id)
        return [_read(row._mapping) for row in self._database.all(query.limit(limit))]

    def count_waiting(self) -> int:
        """How many files wait."""
        query = select(func.count()).select_from(source_files)
        return self._database.value(query.where(source_files.c.state.in_(WAITING))) or 0

    def require_waiting(self, file_id: str) -> SourceFile:
        """A file of the tray.

        Raises:
            NotFoundError: There is none of that id. InvalidTransitionError: It waits no more.
        """
        row = self._database.one(select(source_files).where(source_files.c.id == file_id))
        if row is None:
            raise NotFoundError("file", file_id, "tray")
        file = _read(row._mapping)
        if not file.waits:
            raise InvalidTransitionError(f"The file {file.name} does not wait: it is {file.state}.")
        return file

    def drop(self, file_id: str, *, by: str) -> SourceFile:
        """Have a file looked at no more, until its bytes are others. It stays where it is.

        Raises:
            NotFoundError, InvalidTransitionError: As `require_waiting`.
        """
        dropped = replace(self.require_waiting(file_id), state=FileState.DROPPED)
        values = {"state": dropped.state, "settled_at": self._database.now(), "settled_by": by}
        changed = update(source_files).where(
            source_files.c.id == file_id, source_files.c.state.in_(WAITING)
        )
        with self._database.write() as connection:
            connection.execute(changed.values(values))
        return dropped


def _read(row: Mapping[Any, Any]) -> SourceFile:
    fields = {name: row[name] for name in _FIELDS}
    return SourceFile(**fields | {"state": FileState(fields["state"])})
