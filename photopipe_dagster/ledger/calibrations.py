"""Limits that a shop has set from its own decisions. The last ones count; all are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, select

from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.tables import calibrations


class Calibrations:
    """Keeps calibrations as JSON; what they mean says `quality.calibration`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def current(self) -> Mapping[str, Any] | None:
        """The one that counts; ``None`` where the limits are those that ship."""
        query = select(calibrations.c.content).order_by(calibrations.c.id.desc()).limit(1)
        return self._database.value(query) or None

    def set(self, content: Mapping[str, Any], *, by: str) -> None:
        """From now on these count; runs that are under way go on with those they began with.

        Args:
            content: Empty for the limits that ship.
        """
        row = {"content": dict(content), "made_by": by, "made_at": self._database.now()}
        with self._database.write() as connection:
            connection.execute(insert(calibrations).values(row))
