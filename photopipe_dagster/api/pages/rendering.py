"""Templates, what every page needs, and errors as pages."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from photopipe_dagster.api.errors import RETRY_SECONDS, ApiError
from photopipe_dagster.api.pages import formatting
from photopipe_dagster.api.security import Caller, NotSignedInError, Reader, Scope
from photopipe_dagster.api.state import ApiState, State
from photopipe_dagster.core.errors import (
    InvalidRecordError,
    JobError,
    NotFoundError,
    PhotopipeError,
    StorageError,
)
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.runtime.advice import explain_service
from photopipe_dagster.sources.registry import sources_in_use

_API: Final = Path(__file__).parents[1]

STATIC: Final = _API / "static"

_TEMPLATES: Final = _API / "templates"

HEADERS: Final = {
    # Browsers name no origin in forms of pages that say no-referrer.
    "Referrer-Policy": "same-origin",
}

_TITLES: Final = {
    400: "Invalid request",
    403: "Not permitted",
    404: "Page not found",
    409: "Not possible now",
    413: "Too large",
    422: "Invalid request",
    429: "Too many requests",
    500: "Something went wrong",
    502: "Shop rejected the request",
    503: "Not available now",
}


@cache
def asset(name: str) -> str:
    """The address of a static file, another one for each version of its content."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()
    return f"/static/{digest[:12]}/{name}"


def picture(job: Job, stage: Stage, width: int) -> str:
    """The address of a small picture of a job; another one whenever the job changed."""
    version = f"{job.updated_at.timestamp():.0f}"
    return f"/pictures/{job.id}/{stage.value}?width={width}&v={version}"


_templates = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals |= {
    "asset": asset,
    "picture": picture,
    "words": formatting,
    "Stage": Stage,
    "notices": tomllib.loads((_TEMPLATES / "notices.toml").read_text("utf-8")),
}
_templates.filters |= {
    "usd": formatting.usd,
    "duration": formatting.duration,
    "percent": formatting.percent,
}


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody who comes to a page.

    Args:
        said: What came of the form that led here, a word of `notices.toml`.
    """

    state: ApiState
    caller: Caller
    said: str | None = None

    def titles(self, jobs: Iterable[Job]) -> dict[str, str]:
        """The titles of the products of jobs, by SKU: what templates show of `titles`."""
        return self.state.ledger.catalogue.titles([job.key.sku for job in jobs])

    def page(self, template: str, *, status: int = 200, **context: object) -> HTMLResponse:
        """Render a page. Blocks for a query of the ledger."""
        state, caller = self.state, self.caller
        now = state.ledger.database.now()
        shown = {
            "caller": caller,
            "may_write": caller.may(Scope.WRITE),
            "csrf_token": state.access.form_token(caller),
            "waiting": state.ledger.reviews.count(),
            "sources": " and ".join(
                source.title
                for source in sources_in_use(state.settings)
                if source.is_on(state.settings)
            ),
            "down": state.ledger.breakers.down(),
            "explain_service": explain_service,
            "titles": {},
            "now": now,
            "ago": lambda moment: formatting.ago(moment, now),
            "said": self.said,
            **context,
        }
        return _html(template, status, shown)


async def _visit(state: State, caller: Reader, said: str | None = None) -> Visit:
    return Visit(state, caller, said)


Visitor = Annotated[Visit, Depends(_visit)]
"""Annotation of a page's parameter: who looks at it."""


def bare_page(template: str, *, status: int = 200, **context: object) -> HTMLResponse:
    """Render a page for somebody who may be nobody: without navigation, and without a query."""
    return _html(template, status, context)


def error_page(status: int, message: str, headers: Mapping[str, str]) -> HTMLResponse:
    """Say what went wrong, and where to go on.

    Args:
        headers: Further headers of the answer.
    """
    title = _TITLES.get(status, "That did not work")
    answer = bare_page("error.html", status=status, title=title, message=message)
    answer.headers.update(headers)
    return answer


def see_other(path: str, said: str | None = None) -> RedirectResponse:
    """After a form: on to a page, which tells what came of it.

    Args:
        said: A word of `notices.toml`.
    """
    query = f"{'&' if '?' in path else '?'}said={said}" if said else ""
    return RedirectResponse(path + query, status_code=303, headers=HEADERS)


class PageRoute(APIRoute):
    """A route whose errors are pages too, and that lets people sign in.

    It is no part of the description of the API.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **how: Any) -> None:
        super().__init__(path, endpoint, **how | {"include_in_schema": False})

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler."""
        handle = super().get_route_handler()

        async def handle_page(request: Request) -> Response:
            try:
                return await handle(request)
            except NotSignedInError:
                if request.method in ("GET", "HEAD"):
                    return see_other(f"/login?next={quote(_path(request), safe='')}")
                return see_other("/login")
            except (
                ApiError,
                HTTPException,
                RequestValidationError,
                PhotopipeError,
                DBAPIError,
                PoolTimeout,
            ) as error:
                status, message, headers = _explained(error)
                return error_page(status, message, headers)

        return handle_page


def _explained(error: Exception) -> tuple[int, str, Mapping[str, str]]:
    """Status, words and further headers of an error."""
    match error:
        case ApiError():
            return error.status, error.message, error.headers or {}
        case HTTPException():
            return error.status_code, f"{error.detail}.", error.headers or {}
        case RequestValidationError():
            return 422, "Invalid URL or form value.", {}
        case StorageError():
            return 503, error.message, {"Retry-After": RETRY_SECONDS}
        case JobError():
            return (502 if error.retryable else 422), error.message, {}
        case NotFoundError():
            return 404, str(error), {}
        case InvalidRecordError():
            return 422, str(error), {}
        case PhotopipeError():
            return 409, str(error), {}
        case _:
            # The error's own text quotes the statement's values; it is shown to nobody.
            message = "The ledger's database does not answer. Nothing was changed; try again."
            return 503, message, {"Retry-After": RETRY_SECONDS}


def _path(request: Request) -> str:
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")


def _html(template: str, status: int, context: Mapping[str, object]) -> HTMLResponse:
    return HTMLResponse(_templates.get_template(template).render(context), status, HEADERS)
