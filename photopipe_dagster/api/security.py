"""What a route asks of its caller.

Programs send ``Authorization: Bearer <token>``. Browsers send a session's cookie, which `sign_in`
made of a token. A request that changes something and carries no token must come from our own
pages: browsers say from where (``Sec-Fetch-Site``, ``Origin``), and no other site can make them
lie. Forms carry a token of their own besides.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from photopipe_dagster.api.errors import ApiError
from photopipe_dagster.api.sessions import ANYBODY, SESSION_SECONDS, Caller
from photopipe_dagster.api.state import ApiState, State
from photopipe_dagster.ledger.tokens import Scope

__all__ = ["Caller", "Scope"]  # what else is here is defined here

SESSION_COOKIE: Final = "photopipe_session"
FORM_FIELD: Final = "csrf_token"
FORM_HEADER: Final = "X-CSRF-Token"

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="Made by `photopipe token create`; not needed where the API is open.",
)
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


class NotSignedInError(ApiError):
    """Nobody that is known sent the request. Pages show the form for signing in instead."""

    def __init__(self, message: str) -> None:
        super().__init__(401, "unauthorized", message, {"WWW-Authenticate": "Bearer"})


async def _known(request: Request, state: State, credentials: _Credentials) -> Caller:
    caller = await _caller(request, state, credentials)
    limit(request, state, caller)
    if caller is None:
        raise NotSignedInError(
            "Send a valid token: Authorization: Bearer …; `photopipe token create` makes one."
        )
    if credentials is None and request.method not in _SAFE:
        _refuse_other_sites(request, state)
    return caller


_Known = Annotated[Caller, Depends(_known)]
"""Who sent the request: found out, and counted, once a request, however many ask."""


def require(scope: Scope) -> Callable[..., Awaitable[Caller]]:
    """A dependency: who sent the request, if that is permitted.

    Use it as `Reader` and `Editor` do, or for a whole router as
    ``dependencies=[Depends(require(Scope.READ))]``. It raises `NotSignedInError` (401), or
    `ApiError` 403 (another scope is needed, or another site sent the request) or 429.
    """

    async def permitted(caller: _Known) -> Caller:
        if not caller.may(scope):
            raise ApiError(403, "forbidden", f"Requires scope {scope}.")
        return caller

    return permitted


Reader = Annotated[Caller, Depends(require(Scope.READ))]
"""Annotation of a page's parameter: who looks at it."""

Editor = Annotated[Caller, Depends(require(Scope.WRITE))]
"""The same of who may change things; no form is sent, as to a `Writer`."""


async def may_see_details(request: Request, state: State, credentials: _Credentials) -> bool:
    """A dependency for `/health`: whether the caller may READ, or the ledger cannot say who it is.

    It refuses nobody but who asks too often (429): monitors have no token, and ask most when
    something is wrong.
    """
    try:
        caller = await _caller(request, state, credentials)
    except (DBAPIError, PoolTimeout):
        return True
    limit(request, state, caller)
    return caller is not None and caller.may(Scope.READ)


def require_form(scope: Scope) -> Callable[..., Awaitable[Caller]]:
    """`require`, for the forms of pages: the form must carry `Access.form_token`.

    As the field `csrf_token`, or as the header `X-CSRF-Token`.
    """
    asked = require(scope)

    async def permitted(
        request: Request,
        state: State,
        # A default, because an annotation that is text cannot name a local variable.
        caller: Caller = Depends(asked),  # noqa: B008
    ) -> Caller:
        sent = request.headers.get(FORM_HEADER)
        value = (await request.form()).get(FORM_FIELD) if sent is None else sent
        if not isinstance(value, str) or not state.access.is_form_token(caller, value):
            raise ApiError(403, "forbidden", "This form has expired. Reload the page.")
        return caller

    return permitted


Writer = Annotated[Caller, Depends(require_form(Scope.WRITE))]
"""Annotation of a parameter: who sent a form that changes something."""


async def sign_in(
    request: Request, response: Response, state: ApiState, secret: str
) -> Caller | None:
    """Make a session of a token, as a cookie of the response.

    Returns:
        Who it is; ``None``: no valid token has this secret, and no cookie was set.

    Raises:
        ApiError: 403, the form is another site's; 429, too many tries.
    """
    _refuse_other_sites(request, state)
    caller = await state.access.by_secret(secret.strip())
    limit(request, state, caller)
    if caller is not None and caller.token_id is not None:
        response.set_cookie(
            SESSION_COOKIE,
            await state.access.new_session(caller.token_id),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=_is_https(request, state),
        )
    return caller


async def sign_out(request: Request, response: Response, state: ApiState) -> None:
    """End the session, anyone who has its cookie, and take the cookie away."""
    session = request.cookies.get(SESSION_COOKIE)
    if session is not None:
        await state.access.end_session(session)
    response.delete_cookie(
        SESSION_COOKIE, httponly=True, samesite="strict", secure=_is_https(request, state)
    )


def limit(request: Request, state: ApiState, caller: Caller | None) -> None:
    """Count a request against its token, or its address if it has none.

    Raises:
        ApiError: 429, with the seconds to wait.
    """
    token_id = None if caller is None else caller.token_id
    address = request.client.host if request.client else ""
    wait = state.rates.wait(address if token_id is None else token_id)
    if wait:
        seconds = math.ceil(wait)
        raise ApiError(
            429,
            "too_many_requests",
            f"Too many requests. Wait {seconds} s (API_RATE_LIMIT_PER_MINUTE).",
            {"Retry-After": str(seconds)},
        )


async def _caller(
    request: Request, state: ApiState, credentials: HTTPAuthorizationCredentials | None
) -> Caller | None:
    if credentials is not None:
        return await state.access.by_secret(credentials.credentials)
    session = request.cookies.get(SESSION_COOKIE)
    if session is not None:
        caller = await state.access.by_session(session)
        if caller is not None:
            return caller
    return ANYBODY if await state.access.is_open(_is_local(request, state)) else None


def _is_local(request: Request, state: ApiState) -> bool:
    """Whether a request comes from this machine, and to a name of it.

    A page of another site can have its own name lead here (DNS rebinding): then the name is not
    ours.
    """
    settings, name = state.settings, request.url.hostname or ""
    ours = {"localhost", settings.host, urlsplit(settings.base_url).hostname}
    client = request.client.host if request.client else ""
    return _is_loopback(client) and (name in ours or _is_loopback(name))


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _refuse_other_sites(request: Request, state: ApiState) -> None:
    """Raise 403 if a browser sent the request for a page that is not ours."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        ours = site in ("same-origin", "none")
    elif origin is not None:
        hosts = {request.headers.get("host", ""), urlsplit(state.settings.base_url).netloc}
        ours = urlsplit(origin).netloc in hosts
    else:
        ours = True  # no browser
    if not ours:
        raise ApiError(403, "forbidden", "Another site's page sent this request.")


def _is_https(request: Request, state: ApiState) -> bool:
    return request.url.scheme == "https" or state.settings.base_url.startswith("https://")
