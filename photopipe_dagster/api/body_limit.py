"""Reading a request's body without letting it grow."""

from __future__ import annotations

import re

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


def _too_large(limit: int) -> ApiError:
    # The rest is still on its way: without the close a server would go on receiving it.
    return ApiError(
        413,
        "body_too_large",
        f"The body is longer than {limit} bytes. Send less.",
        {"Connection": "close"},
    )
