"""Leases: who is at work on what, so that nobody buys or publishes the same thing beside them.

A lease has a name, an owner and an end. Its owner takes it again while it runs; after its end
anybody may take it. So a killed process holds things up for no longer than the lease runs.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import bindparam, delete, select

from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.ledger.database import Database, upsert
from photopipe_dagster.ledger.tables import claims

_JOB: Final = "job:"
_RUN: Final = "run:"


def job_lease(job_id: Any) -> Any:
    """Name of the lease on a job; takes a string or a column."""
    return _JOB + job_id


def run_lease(run_id: str) -> str:
    """Name of the lease that a run holds as long as its process is at work."""
    return f"{_RUN}{run_id}"


def is_run_lease(name: str) -> bool:
    """Whether a lease is a run's sign of life, and not on a photo."""
    return name.startswith(_RUN)


def cutout_lease(key: PhotoKey) -> str:
    """Name of the lease on the cut-out of a photo, which its themes share."""
    return f"cutout:{key.sku}/{key.sha256}"


def purchase_lease(recipe: str) -> str:
    """Name of the lease on what is bought by a recipe, which photos of the same bytes share."""
    return f"purchase:{recipe}"


def picture_lease(product_id: str, key: PhotoKey) -> str:
    """Name of the lease on a photo's picture on a product, which several SKUs may share."""
    return f"picture:{product_id}/{key.sha256}/{key.theme}"


_FREE: Final = "claims.expires_at <= :moment OR claims.owner = excluded.owner"

_COLUMNS: Final = ("name", "owner", "expires_at")
_MOMENT: Final = bindparam("moment", type_=claims.c.expires_at.type)

_TAKEN: Final = upsert(claims, "name", _COLUMNS, where=_FREE, returning="name").bindparams(_MOMENT)
_TAKEN_OF_MANY: Final = upsert(claims, "name", _COLUMNS, where=_FREE).bindparams(_MOMENT)

_RELEASED: Final = delete(claims).where(
    claims.c.name == bindparam("held"), claims.c.owner == bindparam("by")
)


class Leases:
    """The leases of the ledger.

    Args:
        database: Where they are.
        lease_seconds: How long a lease runs without being renewed.
    """

    def __init__(self, database: Database, lease_seconds: float) -> None:
        self._database = database
        self._lease = timedelta(seconds=lease_seconds)

    def take(
        self, names: Collection[str], owner: str, *, lease_seconds: float | None = None
    ) -> frozenset[str]:
        """Take those leases that are free, or keep those that are the owner's already.

        Args:
            lease_seconds: How long they run; as others do where it is not given.

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
                select(claims.c.name).where(claims.c.name.in_(names), claims.c.owner == owner)
            )
            return frozenset(held.scalars())

    def release(self, owner: str, names: Collection[str] | None = None) -> None:
        """Give leases back; all of the owner's where no names are given."""
        query = select(claims.c.name).where(claims.c.owner == owner)
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

    def is_alive(self, run_id: str) -> bool:
        """Whether a run holds its own lease."""
        query = select(claims.c.name).where(
            claims.c.name == run_lease(run_id), claims.c.expires_at > self._database.now()
        )
        return self._database.one(query) is not None

    def any_run_is_alive(self) -> bool:
        """Whether any run is at work."""
        query = select(claims.c.name).where(claims.c.name.startswith(_RUN, autoescape=True))
        query = query.where(claims.c.expires_at > self._database.now())
        return self._database.one(query.limit(1)) is not None

    def expired_runs(self) -> list[str]:
        """Runs that died: their leases have ended, and nobody gave them back."""
        query = select(claims.c.name).where(claims.c.name.startswith(_RUN, autoescape=True))
        query = query.where(claims.c.expires_at <= self._database.now()).order_by(claims.c.name)
        return [row.name.removeprefix(_RUN) for row in self._database.all(query)]

    def forget(self, name: str) -> bool:
        """Remove a lease that has ended; False if somebody has taken it again."""
        ended = claims.c.expires_at <= self._database.now()
        with self._database.write() as connection:
            statement = delete(claims).where(claims.c.name == name, ended)
            return connection.execute(statement).rowcount == 1
