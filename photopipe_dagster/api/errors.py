"""How the API says that something went wrong: ``{"error": {"code": …, "message": …}}``, always."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi.responses import JSONResponse
from pydantic import BaseModel

from photopipe_dagster.core.errors import JobError

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


def photo_unavailable(error: JobError) -> ApiError:
    """The answer where a photo could not be fetched now."""
    headers = {"Retry-After": RETRY_SECONDS}
    return ApiError(503, "photo_unavailable", error.message, headers)


def error_response(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An error in the one shape that all errors have."""
    body = ErrorBody(error=ErrorDetail(code=code, message=message))
    return JSONResponse(body.model_dump(), status_code=status, headers=dict(headers or {}))
