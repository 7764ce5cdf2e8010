"""What has been spent since a moment, without adding up all of it at every look.

A settled row never changes, so its amount is added once; looked at again are only the rows that
were open, and those that came since. A look costs what is under way, not what a month has seen.
"""

from __future__ import annotations

import threading
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, and_, case, func, select

from photopipe_dagster.ledger.money.spending import COUNTED, OPEN
from photopipe_dagster.ledger.tables import spending


class RunningTotal:
    """The sum of what counts as spent since a moment. Thread-safe.

    Relies on rows being numbered in the order in which they are committed, which `Budget` sees to.
    """

    def __init__(self, since: datetime) -> None:
        self.since = since
        self._lock = threading.Lock()
        self._settled = Decimal(0)
        self._open: set[int] = set()
        self._seen = -1

    @property
    def settled(self) -> Decimal:
        """USD of what was settled when `spent` last looked; it never falls."""
        return self._settled

    def spent(self, connection: Connection) -> Decimal:
        """USD, as the connection sees it."""
        with self._lock:
            if self._seen < 0:
                self._seen = self._start(connection)
            pending = self._look_again(connection)
            return self._take_new(connection, pending)

    def _start(self, connection: Connection) -> int:
        # Of a sum: else both databases look for the first row from the oldest on, through years.
        first = connection.execute(
            select(func.min(spending.c.id + 0)).where(spending.c.created_at >= self.since)
        ).scalar()
        if first is not None:
            return int(first) - 1
        return int(connection.execute(select(func.max(spending.c.id))).scalar() or 0)

    def _look_again(self, connection: Connection) -> Decimal:
        """Add up what is still open; what was settled since goes to the settled sum."""
        pending = Decimal(0)
        if not self._open:
            return pending
        columns = spending.c.id, spending.c.state, spending.c.amount
        query = select(*columns).where(spending.c.id.in_(self._open))
        for row in connection.execute(query).all():
            if row.state in OPEN:
                pending += row.amount
                continue
            self._open.discard(row.id)
            if row.state in COUNTED:
                self._settled += row.amount
        return pending

    def _take_new(self, connection: Connection, pending: Decimal) -> Decimal:
        # A row may be settled by others between these queries: first the last row is fixed, then
        # what is open is noted, then everything else up to that row is final.
        new = spending.c.id > self._seen
        last = connection.execute(select(func.max(spending.c.id)).where(new)).scalar()
        if last is None:
            return self._settled + pending
        new = and_(new, spending.c.id <= last)
        counts = spending.c.created_at >= self.since
        columns = spending.c.id, spending.c.amount, spending.c.created_at
        query = select(*columns).where(new, spending.c.state.in_(OPEN))
        under_way = {
            row.id: row.amount
            for row in connection.execute(query)
            # One that was stamped just before may be numbered after the first since.
            if row.created_at >= self.since
        }
        # The conditions stand in CASE and not in WHERE: else SQLite reads the whole month by the
        # index on created_at, and not the few rows that are new.
        settled = and_(counts, spending.c.state.in_(COUNTED), spending.c.id.not_in(under_way))
        amount = connection.execute(
            select(func.sum(case((settled, spending.c.amount), else_=None))).where(new)
        ).scalar()
        self._open |= under_way.keys()
        self._settled += amount or Decimal(0)
        self._seen = int(last)
        return self._settled + pending + sum(under_way.values(), Decimal(0))
