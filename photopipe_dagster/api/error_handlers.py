"""Which answer each error gets: JSON for programs, a page for people."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from photopipe_dagster.api.errors import RETRY_SECONDS, ApiError, error_response
from photopipe_dagster.api.pages.rendering import error_page
from photopipe_dagster.core.errors import (
    ConflictError,
    InvalidRecordError,
    InvalidTransitionError,
    NotFoundError,
    PhotoRejectedError,
    StorageError,
)
from photopipe_dagster.pipeline.external import ObjectMissingError

_API: Final = "/api/"

_SOON: Final = {"Retry-After": RETRY_SECONDS}

_ANSWERS: Final = {
    NotFoundError: (404, "not_found"),
    PhotoRejectedError: (422, "validation_error"),
    InvalidRecordError: (422, "validation_error"),
    ConflictError: (409, "conflict"),
    InvalidTransitionError: (409, "conflict"),
    ObjectMissingError: (409, "not_stored"),
    StorageError: (503, "storage_unavailable"),
}
"""Status and code of errors whose own words are the message."""


def page_or_json(
    request: Request,
    status: int,
    code: str,
    message: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error at an address that nothing else answers: a page for a person, else `error_response`.

    People are known by their browser, which asks for HTML; programs that use the API do not.
    """
    if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(_API):
        return error_page(status, message, headers or {})
    return error_response(status, code, message, headers)


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error that has a meaning; the rest is `OutermostMiddleware`'s."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(DBAPIError, _database_failed)
    app.add_exception_handler(PoolTimeout, _database_failed)
    for kind, answer in _ANSWERS.items():
        app.add_exception_handler(kind, partial(_answered, *answer))


async def _api_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)  # noqa: S101  # registered for nothing else
    return error_response(error.status, error.code, error.message, error.headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    codes = {
        400: "invalid_request",
        404: "not_found",
        405: "method_not_allowed",
        413: "body_too_large",
    }
    code = codes.get(error.status_code, "http_error")
    return page_or_json(request, error.status_code, code, f"{error.detail}.", error.headers)


async def _invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    faults = [
        f"{'.'.join(str(part) for part in fault['loc'][1:])}: {fault['msg']}"
        for fault in error.errors()
    ]
    return error_response(422, "validation_error", f"{'; '.join(faults)}.")


async def _answered(status: int, code: str, _: Request, error: Exception) -> JSONResponse:
    return error_response(status, code, str(error), _SOON if status == 503 else None)


async def _database_failed(_: Request, __: Exception) -> JSONResponse:
    # The error's own text quotes the statement's values; it is shown to nobody.
    message = "The ledger's database does not answer. Nothing was changed; send it again."
    return error_response(503, "database_unavailable", message, _SOON)
