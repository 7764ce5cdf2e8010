"""How the API says that something went wrong: ``{"error": {"code": …, "message": …}}``, always."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from photopipe_dagster.core.errors import InvalidTransition, PhotoRejected, StorageError
from photopipe_dagster.pipeline.external import NotStored

_API: Final = "/api/"

RETRY_SECONDS: Final = "5"
"""Retry-After of answers that are different soon."""


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str
    message: str


class ErrorBody(BaseModel):
    """The body of every answer with a status of 400 or more."""

    error: ErrorDetail


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that can fail with these statuses."""
    return {status: {"model": ErrorBody} for status in statuses}


GUARDED: Final = documented(400, 401, 403, 413, 422, 429, 503)
"""The ``responses`` that any route with `security.require` can have."""


class ApiError(Exception):
    """An answer that is no success.

    Args:
        status: HTTP status.
        code: For programs; does not change.
        message: For people; says what to do.
        headers: Further headers of the answer.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers


def error_response(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An error in the one shape that all errors have."""
    body = ErrorBody(error=ErrorDetail(code=code, message=message))
    return JSONResponse(body.model_dump(), status_code=status, headers=dict(headers or {}))


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
        from photopipe_dagster.api.pages.rendering import error_page  # it imports this module

        return error_page(status, message, headers or {})
    return error_response(status, code, message, headers)


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error that has a meaning; the rest is `Guard`'s."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(PhotoRejected, _rejected)
    app.add_exception_handler(InvalidTransition, _conflict)
    app.add_exception_handler(NotStored, _not_stored)
    app.add_exception_handler(StorageError, _storage_failed)
    app.add_exception_handler(DBAPIError, _database_failed)
    app.add_exception_handler(PoolTimeout, _database_failed)


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


async def _rejected(_: Request, error: Exception) -> JSONResponse:
    return error_response(422, "validation_error", str(error))


async def _conflict(_: Request, error: Exception) -> JSONResponse:
    return error_response(409, "conflict", str(error))


async def _not_stored(_: Request, error: Exception) -> JSONResponse:
    return error_response(409, "not_stored", str(error))


async def _storage_failed(_: Request, error: Exception) -> JSONResponse:
    headers = {"Retry-After": RETRY_SECONDS}
    return error_response(503, "storage_unavailable", str(error), headers)


async def _database_failed(_: Request, __: Exception) -> JSONResponse:
    # The error's own text quotes the statement's values; it is shown to nobody.
    message = "The ledger's database does not answer. Nothing was changed; send it again."
    headers = {"Retry-After": RETRY_SECONDS}
    return error_response(503, "database_unavailable", message, headers)
