"""Who comes in: tokens, and the sessions of browsers, which stand for a token.

A session is a signed cookie with the number of a token and an end. Nothing is kept of it here, and
a token that is revoked ends its sessions. What was read of the ledger is remembered for seconds,
so that a request does not cost a query.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cachetools import TTLCache
from itsdangerous import Signer

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger.tokens import Scope, Token, Tokens, permits

REMEMBERED_SECONDS: Final = 5.0
"""How long a token is believed to be valid; revoking it takes no longer than that."""

SESSION_SECONDS: Final = 12 * 3600
"""A working day."""

_MAX_REMEMBERED: Final = 1000

_SESSION: Final = "photopipe session 1\n"
_FORM: Final = "photopipe form 1\n"
"""What a signature is for is signed too, so that none can stand for another."""


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
        secret: Signs sessions and forms; the same in every process of the API.
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
        self._signer = Signer(secret, key_derivation="none", digest_method=hashlib.sha256)
        self._clock = clock
        self._known: TTLCache[str | int, Token] = TTLCache(
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
        token = await self._token(secret)
        return None if token is None else Caller(token.name, token.scopes, token.id)

    async def by_session(self, session: str) -> Caller | None:
        """Whose session that is."""
        payload, _, signature = session.partition(".")
        if not self._signer.verify_signature(_SESSION + payload, signature):
            return None
        token_id, ends = json.loads(base64.urlsafe_b64decode(payload))
        token = await self._token(token_id) if self._clock() < ends else None
        return None if token is None else Caller(token.name, token.scopes, token.id, session)

    def new_session(self, caller: Caller) -> str:
        """A cookie's value that stands for a caller, for `SESSION_SECONDS`."""
        content = json.dumps([caller.token_id, int(self._clock()) + SESSION_SECONDS])
        payload = base64.urlsafe_b64encode(content.encode()).decode()
        return f"{payload}.{self._signer.get_signature(_SESSION + payload).decode()}"

    def form_token(self, caller: Caller) -> str:
        """What the forms of a caller's pages carry, so that no other site's forms are taken."""
        return self._signer.get_signature(_FORM + (caller.session or "")).decode()

    def is_form_token(self, caller: Caller, value: str) -> bool:
        """Whether a form came from one of the caller's pages."""
        return self._signer.verify_signature(_FORM + (caller.session or ""), value)

    async def _token(self, name: str | int) -> Token | None:
        token = self._known.get(name)
        if token is None:
            token = await asyncio.to_thread(self._look_up, name)
            if token is not None:
                self._known[name] = token
        return token

    def _look_up(self, name: str | int) -> Token | None:
        token = self._tokens.find(name) if isinstance(name, str) else self._tokens.get(name)
        if token is not None:
            self._tokens.used(token)
        return token
