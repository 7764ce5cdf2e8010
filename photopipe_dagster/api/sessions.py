"""Who comes in: tokens, and the sessions of browsers, which stand for a token.

Sessions are kept in the ledger, so that every process of the API knows them. A token that is
revoked ends its sessions. What was read of the ledger is remembered for seconds, so that a request
does not cost a query.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from cachetools import TTLCache
from itsdangerous import Signer

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger.tokens import Scope, Token, Tokens, permits

REMEMBERED_SECONDS: Final = 5.0
"""How long a token or session is believed to be valid; revoking it takes no longer than that."""

SESSION_SECONDS: Final = 12 * 3600
"""A working day."""

_MAX_REMEMBERED: Final = 1000

_FORM: Final = "photopipe form 1\n"
"""What a signature is for is signed too, so that none can stand for another."""


_Find = Callable[[str], Token | None]
"""Whose secret that is, by what kind of secret it may be."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request.

    Args:
        name: Of the token; shown where it is told who did something.
        scopes: What the token permits.
        token_id: Of the token; ``None`` where the API is open to all.
        session: The session's cookie, if the request came by it.
    """

    name: str
    scopes: frozenset[Scope]
    token_id: int | None = None
    session: str | None = None

    def may(self, scope: Scope) -> bool:
        """Whether that is permitted."""
        return permits(self.scopes, scope)


ANYBODY: Final = Caller("anybody", frozenset({Scope.ADMIN}))
"""Who sent a request where the API is open."""


class Access:
    """Finds out who sent a request.

    Args:
        settings: Whether tokens are required.
        tokens: The ledger's.
        secret: Signs the forms of callers without a session; those of a session are signed with it.
        clock: Seconds since 1970; tests pass their own.
    """

    def __init__(
        self,
        settings: Settings,
        tokens: Tokens,
        secret: bytes,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._mode = "required" if settings.production else settings.api_auth
        self._tokens = tokens
        self._secret = secret
        self._known: TTLCache[tuple[_Find, str], Token] = TTLCache(
            _MAX_REMEMBERED, REMEMBERED_SECONDS, timer=clock
        )
        self._exist: TTLCache[str, bool] = TTLCache(1, REMEMBERED_SECONDS, timer=clock)

    async def is_open(self, local: bool) -> bool:
        """Whether a request without a token may do everything.

        In development it may until the first token is made, if it is `local`: of this machine.
        """
        if self._mode != "auto" or not local:
            return self._mode == "open"
        exist = self._exist.get("tokens")
        if exist is None:
            exist = self._exist["tokens"] = await asyncio.to_thread(self._tokens.exist)
        return not exist

    async def by_secret(self, secret: str) -> Caller | None:
        """Whose secret that is."""
        token = await self._token(secret, self._tokens.find)
        return None if token is None else Caller(token.name, token.scopes, token.id)

    async def by_session(self, session: str) -> Caller | None:
        """Whose session that is."""
        token = await self._token(session, self._tokens.of_session)
        return None if token is None else Caller(token.name, token.scopes, token.id, session)

    async def new_session(self, token_id: int) -> str:
        """A cookie's value that stands for a token, for `SESSION_SECONDS`."""
        lifetime = timedelta(seconds=SESSION_SECONDS)
        return await asyncio.to_thread(self._tokens.open_session, token_id, lifetime)

    async def end_session(self, session: str) -> None:
        """Forget a session: here at once, in other processes within `REMEMBERED_SECONDS`."""
        await asyncio.to_thread(self._tokens.close_session, session)
        self._known.pop((self._tokens.of_session, session), None)

    def form_token(self, caller: Caller) -> str:
        """What the forms of a caller's pages carry, so that no other site's forms are taken."""
        return self._signer(caller).get_signature(_FORM).decode()

    def is_form_token(self, caller: Caller, value: str) -> bool:
        """Whether a form came from one of the caller's pages."""
        return self._signer(caller).verify_signature(_FORM, value)

    def _signer(self, caller: Caller) -> Signer:
        # A session's own secret signs its forms: every process of the API can tell them.
        secret = self._secret if caller.session is None else caller.session
        return Signer(secret, key_derivation="none", digest_method=hashlib.sha256)

    async def _token(self, secret: str, find: _Find) -> Token | None:
        token = self._known.get((find, secret))
        if token is None:
            token = await asyncio.to_thread(self._look_up, secret, find)
            if token is not None:
                self._known[find, secret] = token
        return token

    def _look_up(self, secret: str, find: _Find) -> Token | None:
        token = find(secret)
        if token is not None:
            self._tokens.used(token)
        return token
