"""Circuit breakers: which services are down, as all processes see it.

A breaker is closed while its service works. So many failures in a row that mean "the service is
down" open it: nobody calls any more. When the wait is over, one call of one process is let through
as a probe: if it succeeds, the breaker closes; if not, the next wait is twice as long.

A success counts if its call began after the first failure of the row: one that began before says
nothing of now. While the breaker is open, only the probe's outcome counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, update

from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.tables import breakers

MAX_WAIT: Final = timedelta(minutes=15)
"""Between two probes, at most."""

SUCCESS_COUNTS_FOR: Final = timedelta(minutes=15)
"""How long a success shows that the service works."""

_SUCCESS_NOTED_EVERY: Final = SUCCESS_COUNTS_FOR / 5
"""A success that follows another sooner is not written."""

PROBE_LEASE: Final = timedelta(minutes=10)
"""Longer than a call takes with all its retries. A probe whose process was killed holds the next
one up for so long."""

_CLOSED: Final[dict[str, Any]] = {
    "failures": 0,
    "failing_since": None,
    "opened_at": None,
    "retry_at": None,
    "reason": None,
    "refused": False,
}


_NAMED: Final = select(breakers).where(breakers.c.name == bindparam("service"))


@dataclass(frozen=True, slots=True)
class Breaker:
    """How a service is. Moments are UTC.

    Args:
        failures: In a row.
        failing_since: When the row began.
        opened_at: Since when nobody calls; ``None``: it is closed.
        retry_at: When the next probe is let through.
        reason: The last failure's message.
        refused: Whether the service refuses the key, the account or the address, so that it works
            again only when a person has done something about it.
        last_success_at: A call that ended well, to within three minutes.
    """

    name: str
    failures: int
    failing_since: datetime | None
    opened_at: datetime | None
    retry_at: datetime | None
    reason: str | None
    last_success_at: datetime | None = None
    refused: bool = False

    @property
    def is_open(self) -> bool:
        """Whether nobody calls."""
        return self.opened_at is not None

    def is_due(self, now: datetime) -> bool:
        """Whether the next probe is let through."""
        return self.retry_at is not None and self.retry_at <= now

    def has_worked_lately(self, now: datetime) -> bool:
        """Whether its last call ended well, and not long ago."""
        last = self.last_success_at
        return self.failures == 0 and last is not None and now - last <= SUCCESS_COUNTS_FOR

    def describe(self) -> str:
        """Since when it is down, why, and when it is tried again, in a line."""
        return (
            f"down since {self.failing_since:%Y-%m-%d %H:%M} UTC, tried again at "
            f"{self.retry_at:%H:%M:%S} UTC; photos that need it wait. The reason: {self.reason}"
        )


@dataclass(frozen=True, slots=True)
class Admission:
    """Leave to call a service.

    Args:
        began: When it was given.
        probe: Whether this call alone shows if the service is up again.
        healthy: Whether there is no failure that a success could forget.
    """

    began: datetime
    probe: bool = False
    healthy: bool = field(default=False, compare=False)


class Breakers:
    """The breakers of the ledger.

    Args:
        database: Where they are.
        failures: In a row that open one.
        wait_seconds: Before the first probe; doubles up to `MAX_WAIT`.
    """

    def __init__(self, database: Database, failures: int, wait_seconds: float) -> None:
        self._database = database
        self._failures = failures
        self._wait_seconds = wait_seconds

    def now(self) -> datetime:
        """The moment by the ledger's clock."""
        return self._database.now()

    def get(self, name: str) -> Breaker | None:
        """How a service is; ``None`` if it has never failed."""
        row = self._database.one(_NAMED, {"service": name})
        return None if row is None else _to_breaker(row)

    def down(self) -> list[Breaker]:
        """The open ones, by name."""
        query = select(breakers).where(breakers.c.opened_at.is_not(None)).order_by(breakers.c.name)
        return [_to_breaker(row) for row in self._database.all(query)]

    def admit(self, name: str) -> Admission | Breaker:
        """Ask for leave to call a service.

        Returns:
            Leave, or the open breaker.
        """
        breaker = self.get(name)
        now = self._database.now()
        if breaker is None or not breaker.is_open:
            return Admission(now, healthy=breaker is None or breaker.failures == 0)
        if not breaker.is_due(now):
            return breaker
        # The moment that was seen must still hold: one of many who see it gets the probe.
        mine = self._change(
            name, {"retry_at": now + PROBE_LEASE}, breakers.c.retry_at == breaker.retry_at
        )
        return Admission(now, probe=True) if mine else breaker

    def succeeded(self, name: str, admission: Admission) -> None:
        """A call ended well."""
        breaker = self.get(name)
        if breaker is None or breaker.failures == 0:
            return
        conditions = [breakers.c.failing_since <= admission.began]
        if not admission.probe:
            conditions.append(breakers.c.opened_at.is_(None))
        self._change(name, _CLOSED, *conditions)

    def note_success(self, name: str) -> None:
        """Keep when a call ended well, for `Breaker.has_worked_lately`."""
        now, breaker = self._database.now(), self.get(name)
        if breaker is None:
            new = self._database.insert(breakers).values(
                name=name, updated_at=now, last_success_at=now, **_CLOSED
            )
            with self._database.write() as connection:
                connection.execute(new.on_conflict_do_nothing())
        elif breaker.last_success_at is None or (
            now - breaker.last_success_at >= _SUCCESS_NOTED_EVERY
        ):
            self._change(name, {"last_success_at": now})

    def ask_now(self, name: str) -> bool:
        """Have a service that is down tried at once, as when a person has fixed it.

        Returns:
            Whether it is down.
        """
        is_open = breakers.c.opened_at.is_not(None)
        return self._change(name, {"retry_at": self._database.now()}, is_open)

    def probe_failed(self, name: str, reason: str, *, refused: bool = False) -> None:
        """The probe found the service down: the next wait is twice as long."""
        self._probed(name, 1, {"reason": reason, "refused": refused})

    def probe_undecided(self, name: str) -> None:
        """The probe ended before it showed anything: another one, after a wait like the last."""
        self._probed(name, 0, {})

    def _probed(self, name: str, more: int, values: dict[str, Any]) -> None:
        breaker = self.get(name)
        if breaker is not None and breaker.is_open:
            failures = breaker.failures + more
            values |= {"failures": failures, "retry_at": self._next(failures)}
            self._change(name, values, breakers.c.failures == breaker.failures)

    def failed(
        self,
        connection: Connection,
        name: str,
        reason: str,
        *,
        for_good: bool = False,
        refused: bool = False,
    ) -> Breaker:
        """Count a failure of the service in this writing transaction; enough of them open it.

        Until the transaction ends, the breaker is locked.

        Args:
            for_good: Whether the service refuses everybody until a person does something about
                it: one such failure is enough.
            refused: Whether it refuses the key, the account or the address.
        """
        new = self._database.insert(breakers).values(
            name=name, updated_at=self._database.now(), **_CLOSED
        )
        connection.execute(new.on_conflict_do_nothing())
        query = select(breakers).where(breakers.c.name == name).with_for_update()
        breaker = _to_breaker(connection.execute(query).one())
        if breaker.is_open:
            return breaker
        now = self._database.now()
        failures = max(breaker.failures + 1, self._failures if for_good else 0)
        values: dict[str, Any] = {
            "failures": failures,
            "failing_since": breaker.failing_since or now,
            "reason": reason,
            "refused": refused,
            "updated_at": now,
        }
        if failures >= self._failures:
            values |= {"opened_at": now, "retry_at": self._next(failures)}
        changed = update(breakers).where(breakers.c.name == name).values(values)
        return _to_breaker(connection.execute(changed.returning(breakers)).one())

    def _next(self, failures: int) -> datetime:
        """When the next probe is let through, after so many failures in a row."""
        doublings = min(max(0, failures - self._failures), 20)
        wait = timedelta(seconds=self._wait_seconds * 2**doublings)
        return self._database.now() + min(wait, MAX_WAIT)

    def _change(self, name: str, values: dict[str, Any], *conditions: Any) -> bool:
        """Change a breaker if it still is as it was seen."""
        statement = update(breakers).where(breakers.c.name == name, *conditions)
        with self._database.write() as connection:
            changed = connection.execute(
                statement.values(**values, updated_at=self._database.now())
            )
            return changed.rowcount == 1


def _to_breaker(row: Any) -> Breaker:
    values = {field.name: getattr(row, field.name) for field in fields(Breaker)}
    return Breaker(**values | {"refused": bool(row.refused)})
