"""Keys that clients send with what costs money, so that sending it twice does it once.

As the draft "The Idempotency-Key HTTP Header Field" of the IETF has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, select, update

from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.tables import idempotency_keys

REMEMBERED: Final = timedelta(days=1)
"""How long a key is known; after that, the same request is a new one."""


class IdempotencyConflictError(PhotopipeError):
    """A request with this key is under way, or nobody knows how it ended."""


class IdempotencyMismatchError(PhotopipeError):
    """The key was sent with another request before."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What a request was answered.

    Args:
        body: JSON.
    """

    status: int
    body: str


class IdempotencyKeys:
    """The keys of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, name: str, request: str) -> StoredAnswer | None:
        """Take a key for a request.

        Args:
            name: The key with whose it is.
            request: Digest of the request.

        Returns:
            What the same request was answered before; ``None``: it is new, and to be carried out.

        Raises:
            IdempotencyMismatchError: The key belongs to another request.
            IdempotencyConflictError: That request has no answer yet.
        """
        table, now = idempotency_keys, self._database.now()
        with self._database.write() as connection:
            connection.execute(delete(table).where(table.c.created_at < now - REMEMBERED))
            new = self._database.insert(table).values(name=name, request=request, created_at=now)
            if connection.execute(new.on_conflict_do_nothing()).rowcount:
                return None
            row = connection.execute(select(table).where(table.c.name == name)).one()
        if row.request != request:
            raise IdempotencyMismatchError(
                "This Idempotency-Key was sent with another request before: use a new one."
            )
        if row.status is None:
            raise IdempotencyConflictError(
                "A request with this Idempotency-Key is under way, or was cut off. Wait; if it "
                "stays so, look whether it was carried out, and send it with a new key if not."
            )
        return StoredAnswer(row.status, row.body)

    def finish(self, name: str, answer: StoredAnswer) -> None:
        """Keep the answer."""
        table = idempotency_keys
        with self._database.write() as connection:
            connection.execute(
                update(table)
                .where(table.c.name == name)
                .values(status=answer.status, body=answer.body)
            )

    def release(self, name: str) -> None:
        """Forget the key of a request that was refused: nothing was done."""
        table = idempotency_keys
        with self._database.write() as connection:
            connection.execute(delete(table).where(table.c.name == name, table.c.status.is_(None)))
