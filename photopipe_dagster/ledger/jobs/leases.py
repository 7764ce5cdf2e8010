"""Claims: who is at work on what, so that nobody buys or publishes the same thing beside them.

A claim has a name, an owner and an end. Its owner takes it again while it lives; after its end
anybody may take it. So a killed process holds things up for no longer than the lease.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, delete, select

from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.ledger.database import Database, upsert
from photopipe_dagster.ledger.tables import claims

_JOB: Final = "job:"
_RUN: Final = "run:"


def job_claim(job_id: Any) -> Any:
    """Name of the claim on a job; takes a string or a column."""
    return _JOB + job_id


def run_claim(run_id: str) -> str:
    """Name of the claim that a run holds as long as its process is at work."""
    return f"{_RUN}{run_id}"


def is_run_claim(name: str) -> bool:
    """Whether a claim is a run's sign of life, and not on a photo."""
    return name.startswith(_RUN)


def cutout_claim(key: PhotoKey) -> str:
    """Name of the claim on the cut-out of a photo, which its themes share."""
    return f"cutout:{key.sku}/{key.sha256}"


_FREE: Final = "claims.expires_at <= :moment OR claims.owner = excluded.owner"

_COLUMNS: Final = ("name", "owner", "expires_at")
_MOMENT: Final = bindparam("moment", type_=claims.c.expires_at.type)

_TAKEN: Final = upsert(claims, "name", _COLUMNS, where=_FREE, returning="name").bindparams(_MOMENT)
_TAKEN_OF_MANY: Final = upsert(claims, "name", _COLUMNS, where=_FREE).bindparams(_MOMENT)

_RELEASED: Final = delete(claims).where(
    claims.c.name == bindparam("held"), claims.c.owner == bindparam("by")
)


class Claims:
    """The claims of the ledger.

    Args:
        database: Where they are.
        lease_seconds: How long a claim lives without being renewed.
    """

    def __init__(self, database: Database, lease_seconds: float) -> None:
        self._database = database
        self._lease = timedelta(seconds=lease_seconds)

    def take(
        self, names: Collection[str], owner: str, *, lease_seconds: float | None = None
    ) -> frozenset[str]:
        """Take those claims that are free, or keep those that are the owner's already.

        Args:
            lease_seconds: How long they live; as others do where it is not given.

        Returns:
            Those that the owner has now, until the lease ends.
        """
        if not names:
            return frozenset()
        now = self._database.now()
        lease = self._lease if lease_seconds is None else timedelta(seconds=lease_seconds)
        # In one order everywhere, so that two takers never wait for each other on Postgres.
        rows = [
            {"name": name, "owner": owner, "expires_at": now + lease, "moment": now}
            for name in sorted(names)
        ]
        with self._database.write() as connection:
            if len(rows) == 1:
                return frozenset(connection.execute(_TAKEN, rows[0]).scalars())
            connection.execute(_TAKEN_OF_MANY, rows)
            held = connection.execute(
                select(claims.c.name).where(claims.c.name.in_(names), _held_by(owner))
            )
            return frozenset(held.scalars())

    def release(self, owner: str, names: Collection[str] | None = None) -> None:
        """Give claims back; all of the owner's where no names are given."""
        query = select(claims.c.name).where(_held_by(owner))
        if names is not None:
            query = query.where(claims.c.name.in_(names))
        with self._database.write() as connection:
            if names is not None and len(names) == 1:
                held = list(names)
            else:
                # In the order of `take`; one DELETE of all would lock them in the disk's order.
                held = sorted(connection.execute(query).scalars())
            if held:
                connection.execute(_RELEASED, [{"held": name, "by": owner} for name in held])

    def lives(self, run_id: str) -> bool:
        """Whether a run holds its own claim."""
        query = select(claims.c.name).where(claims.c.name == run_claim(run_id))
        return (
            self._database.one(query.where(claims.c.expires_at > self._database.now())) is not None
        )

    def any_run_lives(self) -> bool:
        """Whether any run is at work."""
        query = select(claims.c.name).where(claims.c.name.startswith(_RUN, autoescape=True))
        query = query.where(claims.c.expires_at > self._database.now())
        return self._database.one(query.limit(1)) is not None

    def dead_runs(self) -> list[str]:
        """Runs that died: their claims have ended, and nobody gave them back."""
        query = select(claims.c.name).where(claims.c.name.startswith(_RUN, autoescape=True))
        query = query.where(claims.c.expires_at <= self._database.now()).order_by(claims.c.name)
        return [row.name.removeprefix(_RUN) for row in self._database.all(query)]

    def bury(self, run_id: str) -> None:
        """Forget the claim of a run that died."""
        ended = claims.c.expires_at <= self._database.now()
        with self._database.write() as connection:
            connection.execute(delete(claims).where(claims.c.name == run_claim(run_id), ended))


def _held_by(owner: str) -> ColumnElement[bool]:
    return claims.c.owner == owner
