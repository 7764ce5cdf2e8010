"""Reading a request's body without letting it grow."""

from __future__ import annotations

import re

from fastapi import UploadFile
from starlette.requests import Request

from photopipe_dagster.api.errors import ApiError


async def read_body(request: Request, limit: int) -> bytes:
    """The raw body of a request.

    Args:
        limit: Bytes; nothing beyond is kept, whether the length was declared or not.

    Raises:
        ApiError: 413, it is longer.
    """
    declared = request.headers.get("content-length", "")
    if re.fullmatch(r"[0-9]+", declared) and int(declared[:20]) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def read_upload(file: UploadFile, limit: int) -> bytes:
    """The bytes of a file that came with a form.

    Args:
        limit: Bytes.

    Raises:
        ApiError: 413, it has more; 422, it has none.
    """
    data = file.file.read(limit + 1)
    if len(data) > limit:
        raise ApiError(
            413,
            "body_too_large",
            f"The file has more than {limit} bytes. Send a smaller one, or raise IMAGE_MAX_BYTES.",
        )
    if not data:
        raise ApiError(422, "validation_error", "The file is empty. Choose another one.")
    return data


def _too_large(limit: int) -> ApiError:
    # The rest is still on its way: without the close a server would go on receiving it.
    return ApiError(
        413,
        "body_too_large",
        f"The body is longer than {limit} bytes. Send less.",
        {"Connection": "close"},
    )
