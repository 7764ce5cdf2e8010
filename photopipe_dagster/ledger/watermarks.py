"""Small facts that outlive a process: watermarks of polls, and announcements that were refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, select, true

from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.tables import rejections, watermarks


@dataclass(frozen=True, slots=True)
class Rejection:
    """An announcement that could not become a job, kept so that nothing is lost."""

    source: str
    reason: str
    announcement: Mapping[str, Any]
    seen_at: datetime


class Watermarks:
    """The watermarks and rejections of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> str | None:
        """A watermark's value."""
        return self._database.value(select(watermarks.c.value).where(watermarks.c.name == name))

    def beginning(self, prefix: str) -> dict[str, str]:
        """The watermarks whose names begin like this, with their values."""
        query = select(watermarks.c.name, watermarks.c.value).where(
            watermarks.c.name.startswith(prefix, autoescape=True)
        )
        return {row.name: row.value for row in self._database.all(query)}

    def set(self, name: str, value: str) -> None:
        """Move a watermark."""
        self._mark(name, value, true())

    def first_in(self, name: str, span: timedelta, note: str) -> bool:
        """Mark that something was done now; False if it was done within the last span of time.

        Args:
            note: Kept beside it, for a person to read.
        """
        return self._mark(name, note, watermarks.c.updated_at <= self._database.now() - span)

    def _mark(self, name: str, value: str, which: ColumnElement[bool]) -> bool:
        """Write a watermark where there is none, or one that may be moved; whether it was."""
        marked = {"value": value, "updated_at": self._database.now()}
        statement = self._database.insert(watermarks).values(name=name, **marked)
        statement = statement.on_conflict_do_update(
            index_elements=["name"], set_=marked, where=which
        )
        with self._database.write() as connection:
            return connection.execute(statement).rowcount == 1

    def forget(self, name: str) -> None:
        """Take a watermark away."""
        with self._database.write() as connection:
            connection.execute(delete(watermarks).where(watermarks.c.name == name))

    def reject(self, source: str, reason: str, announcement: Mapping[str, Any]) -> bool:
        """Keep an announcement that could not become a job, once; returns whether it is new.

        Args:
            announcement: As it came, without signatures and the query of its URL.
        """
        canonical = json.dumps([source, announcement], sort_keys=True, default=str)
        statement = (
            self._database.insert(rejections)
            .values(
                digest=hashlib.sha256(canonical.encode()).hexdigest(),
                source=source,
                reason=reason,
                announcement=dict(announcement),
                seen_at=self._database.now(),
            )
            .on_conflict_do_nothing()
        )
        with self._database.write() as connection:
            return connection.execute(statement).rowcount == 1

    def rejections(self, limit: int = 50) -> list[Rejection]:
        """What could not become a job, newest first."""
        query = select(rejections).order_by(rejections.c.seen_at.desc()).limit(limit)
        return [
            Rejection(row.source, row.reason, row.announcement, row.seen_at)
            for row in self._database.all(query)
        ]
