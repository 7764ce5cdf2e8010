"""Signing in with a token, and out again."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from photopipe_dagster.api.pages.rendering import PageRoute, bare_page, see_other
from photopipe_dagster.api.security import Caller, Scope, require_form, sign_in, sign_out
from photopipe_dagster.api.state import State

router = APIRouter(route_class=PageRoute)


@router.get("/login")
def login_page(
    next: Annotated[str, Query(max_length=2000)] = "/",  # noqa: A002
    said: str | None = None,
) -> Response:
    """The form."""
    return bare_page("login.html", next=_ours(next), wrong=False, said=said)


@router.post("/login")
async def log_in(
    request: Request,
    state: State,
    token: Annotated[str, Form(max_length=200)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/",  # noqa: A002
) -> Response:
    """Make a session of a token, and go on to the page that was asked for."""
    path = _ours(next)
    answer: Response = RedirectResponse(path, status_code=303)
    caller = await sign_in(request, answer, state, token)
    if caller is None:
        return await run_in_threadpool(
            bare_page, "login.html", status=401, next=path, wrong=True, said=None
        )
    return answer


@router.post("/logout")
async def log_out(
    request: Request,
    state: State,
    caller: Annotated[Caller, Depends(require_form(Scope.READ))],
) -> Response:
    """End the session of this browser."""
    answer = see_other("/login", "signed_out")
    await sign_out(request, answer, state)
    return answer


def _ours(path: str) -> str:
    """A path of this site; never an address that leads elsewhere."""
    parts = urlsplit(path)
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if plain and not parts.netloc and not parts.scheme else "/"
