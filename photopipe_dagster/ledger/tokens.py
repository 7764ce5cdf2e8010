"""Tokens: who may use the API, and for what; and sessions of browsers, which stand for a token.

Only digests are kept of either.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Select, delete, insert, select, update

from photopipe_dagster.core.errors import NotFoundError
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.tables import sessions, tokens

SECRET_PREFIX: Final = "pp_"  # noqa: S105  # so that scanners of leaked secrets can tell one
MAX_NAME_CHARACTERS: Final = 64

_USE_NOTED_EVERY: Final = timedelta(minutes=1)


class Scope(StrEnum):
    """What a token permits; each permits what the ones before it do."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


_ORDER: Final = tuple(Scope)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as the ledger knows it; what it is itself, only its holder knows. Moments are UTC."""

    id: int
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None

    def permits(self, scope: Scope) -> bool:
        """Whether it is good for that."""
        return permits(self.scopes, scope)

    def valid(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def permits(scopes: Collection[Scope], scope: Scope) -> bool:
    """Whether one of the scopes is that one, or more."""
    return any(_ORDER.index(each) >= _ORDER.index(scope) for each in scopes)


class Tokens:
    """The tokens of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, name: str, scopes: Collection[Scope], *, lifetime: timedelta | None = None
    ) -> tuple[Token, str]:
        """Make a token.

        Args:
            name: Who or what uses it; shown as the name of the person who approves a picture.
            lifetime: How long it is valid; for ever where it is not given.

        Returns:
            The token, and its secret, which cannot be seen again.

        Raises:
            ValueError: The name is empty or too long, or there is no scope.
        """
        name = name.strip()
        if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
            raise ValueError(f"A token's name has 1 to {MAX_NAME_CHARACTERS} printable characters.")
        if not scopes:
            raise ValueError(f"A token needs a scope: {', '.join(Scope)}.")
        secret = SECRET_PREFIX + secrets.token_urlsafe(32)
        now = self._database.now()
        with self._database.write() as connection:
            row = connection.execute(
                insert(tokens)
                .values(
                    name=name,
                    digest=_digest(secret),
                    scopes=" ".join(scope for scope in Scope if scope in scopes),
                    created_at=now,
                    expires_at=None if lifetime is None else now + lifetime,
                )
                .returning(tokens)
            ).one()
        return _token(row), secret

    def find(self, secret: str) -> Token | None:
        """The valid token that has this secret.

        It is looked for by the digest of a secret that nobody can guess, so how long the search
        takes tells nothing.
        """
        return self._valid(select(tokens).where(tokens.c.digest == _digest(secret)))

    def exist(self) -> bool:
        """Whether there ever was a token, valid or not: what was locked once stays locked."""
        return self._database.one(select(tokens.c.id).limit(1)) is not None

    def all(self) -> list[Token]:
        """All tokens, revoked and expired ones too, oldest first."""
        return [_token(row) for row in self._database.all(select(tokens).order_by(tokens.c.id))]

    def revoke(self, token_id: int) -> Token:
        """Make a token useless, for good.

        Raises:
            NotFoundError: There is no such token.
        """
        now = self._database.now()
        with self._database.write() as connection:
            connection.execute(
                update(tokens)
                .where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None))
                .values(revoked_at=now)
            )
            row = connection.execute(select(tokens).where(tokens.c.id == token_id)).first()
        if row is None:
            raise NotFoundError("token", token_id, "token list")
        return _token(row)

    def open_session(self, token_id: int, lifetime: timedelta) -> str:
        """Begin a session that stands for a token.

        Returns:
            The session's secret, 43 URL-safe characters, which cannot be seen again.
        """
        secret = secrets.token_urlsafe(32)
        now = self._database.now()
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.ends_at <= now))
            connection.execute(
                insert(sessions).values(
                    digest=_digest(secret), token_id=token_id, ends_at=now + lifetime
                )
            )
        return secret

    def of_session(self, secret: str) -> Token | None:
        """The valid token that a session stands for; ``None`` if the session has ended."""
        return self._valid(
            select(tokens)
            .join(sessions, sessions.c.token_id == tokens.c.id)
            .where(sessions.c.digest == _digest(secret), sessions.c.ends_at > self._database.now())
        )

    def close_session(self, secret: str) -> None:
        """End a session, if there is one."""
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.digest == _digest(secret)))

    def used(self, token: Token) -> None:
        """Note that a token was used, to the minute."""
        now = self._database.now()
        if token.last_used_at is None or now - token.last_used_at >= _USE_NOTED_EVERY:
            with self._database.write() as connection:
                connection.execute(
                    update(tokens).where(tokens.c.id == token.id).values(last_used_at=now)
                )

    def _valid(self, query: Select[Any]) -> Token | None:
        row = self._database.one(query)
        token = None if row is None else _token(row)
        return token if token is not None and token.valid(self._database.now()) else None


def _digest(secret: str) -> str:
    # A plain hash is enough: a secret has 256 random bits, so there is nothing to try out.
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def _token(row: Any) -> Token:
    values = {field.name: getattr(row, field.name) for field in fields(Token)}
    return Token(**values | {"scopes": frozenset(map(Scope, row.scopes.split()))})
