"""Freepik's two forms of saying no."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse

from photopipe_dagster.sandbox.freepik.mystic import InvalidParameter


def message(status: int, text: str) -> Response:
    """The short form: ``application/json`` with a message."""
    return JSONResponse({"message": text}, status_code=status)


def problem(invalid: Sequence[InvalidParameter], *, wrapped: bool) -> Response:
    """The long form: 400 ``application/problem+json``.

    Args:
        invalid: What is wrong with the request.
        wrapped: In ``problem``, as the vendor's schema has it; its examples are unwrapped.
    """
    content: dict[str, Any] = {
        "message": "Your request parameters didn't validate.",
        "invalid_params": [{"name": item.name, "reason": item.reason} for item in invalid],
    }
    if wrapped:
        content = {"problem": content}
    return JSONResponse(content, status_code=400, media_type="application/problem+json")
