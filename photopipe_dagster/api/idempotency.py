"""Requests that cost money: with the same `Idempotency-Key` twice, they are carried out once."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from photopipe_dagster.api.errors import ApiError
from photopipe_dagster.api.security import Editor
from photopipe_dagster.api.state import State, api_state
from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.ledger.idempotency import (
    IdempotencyConflictError,
    IdempotencyMismatchError,
    StoredAnswer,
)

HEADER: Final = "Idempotency-Key"
REPLAYED_HEADER: Final = "Idempotent-Replayed"
MAX_CHARACTERS: Final = 255

_BOUNDARY: Final = re.compile(r'boundary="?([^";,]+)', re.IGNORECASE)


class _AnsweredBeforeError(Exception):
    def __init__(self, answer: StoredAnswer) -> None:
        super().__init__()
        self.answer = answer


class IdempotentRoute(APIRoute):
    """A route of which `Idempotent` remembers the answers that are no refusals."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler."""
        handle = super().get_route_handler()

        async def handle_once(request: Request) -> Response:
            if HEADER not in request.headers:
                return await handle(request)
            request.state.request_digest = await _digest(request)
            request.state.idempotency_name = None
            keys = api_state(request).ledger.idempotency
            try:
                response = await handle(request)
            except _AnsweredBeforeError as before:
                headers = {REPLAYED_HEADER: "true"}
                answer = before.answer
                return Response(answer.body, answer.status, headers, "application/json")
            except (ApiError, HTTPException, RequestValidationError, PhotopipeError):
                # A refusal: nothing was done. After any other error nobody knows: the key stays.
                if request.state.idempotency_name is not None:
                    await asyncio.to_thread(keys.release, request.state.idempotency_name)
                raise
            if request.state.idempotency_name is not None:
                answer = StoredAnswer(response.status_code, bytes(response.body).decode())
                await asyncio.to_thread(keys.finish, request.state.idempotency_name, answer)
            return response

        return handle_once


async def _remember(
    request: Request,
    state: State,
    caller: Editor,
    key: Annotated[
        str | None,
        Header(
            alias=HEADER,
            min_length=1,
            max_length=MAX_CHARACTERS,
            pattern="^[!-~]+$",
            description="Any text of your own. The same request with the same key, within a day, "
            "gets the first one's answer and does nothing.",
        ),
    ] = None,
) -> None:
    if key is None:
        return
    name = hashlib.sha256(f"{caller.token_id}\n{key}".encode()).hexdigest()
    try:
        answer = await asyncio.to_thread(
            state.ledger.idempotency.begin, name, request.state.request_digest
        )
    except IdempotencyMismatchError as error:
        raise ApiError(422, "idempotency_mismatch", str(error)) from None
    except IdempotencyConflictError as error:
        raise ApiError(409, "idempotency_conflict", str(error)) from None
    if answer is not None:
        raise _AnsweredBeforeError(answer)
    request.state.idempotency_name = name


Idempotent: Final = Depends(_remember)
"""Among the dependencies of an `IdempotentRoute`: asks for the scope `write`, and takes the key."""


async def _digest(request: Request) -> str:
    """The same for the same request: a multipart body has another boundary each time."""
    body = await request.body()
    boundary = _BOUNDARY.search(request.headers.get("content-type", ""))
    if boundary is not None:
        body = body.replace(boundary[1].encode("latin-1"), b"")
    about = f"{request.method} {request.url.path}?{request.url.query}\n"
    return hashlib.sha256(about.encode() + body).hexdigest()
