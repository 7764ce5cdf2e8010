"""Serves the signed URLs of `LocalStore`: what S3 does for a bucket."""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from photopipe_dagster.api.body_limit import read_body
from photopipe_dagster.api.errors import ApiError, documented
from photopipe_dagster.storage.local import LocalStore
from photopipe_dagster.storage.signing import UrlSigner

_SHOWN_INLINE: Final = frozenset({"image/jpeg", "image/png", "image/webp"})
"""Types that a browser may show; anything else is a download, whatever it claims to be."""

_ANYTHING: Final = "application/octet-stream"


def router(store: LocalStore, signer: UrlSigner, max_bytes: int) -> APIRouter:
    """The routes under ``/files``.

    The path is the object's key, percent-encoded once more: the key ``originals/A%20B/1.jpg`` is
    reached as ``/files/originals/A%2520B/1.jpg``. Nothing is done before the signature, which
    binds the key, was checked.

    Args:
        max_bytes: A longer upload is refused.
    """
    routes = APIRouter(prefix="/files", tags=["files"])

    # Two routes, so that each has an operation id of its own in the description of the API.
    @routes.get("/{key:path}", responses=documented(403, 404), response_class=Response)
    @routes.head("/{key:path}", responses=documented(403, 404), include_in_schema=False)
    async def read_file(key: str, request: Request) -> Response:
        """Download an object by its signed URL."""
        _permit(request, signer, "GET", key)
        found = await run_in_threadpool(store.get, key)
        if found is None:
            raise ApiError(404, "not_found", "There is no such object.")
        content_type = found.info.content_type
        inline = content_type in _SHOWN_INLINE
        headers = {
            "Content-Type": content_type if inline else _ANYTHING,
            "Content-Length": str(len(found.data)),
            "Content-Disposition": "inline" if inline else "attachment",
            "Cache-Control": "private, no-cache",
        }
        return Response(b"" if request.method == "HEAD" else found.data, headers=headers)

    @routes.put("/{key:path}", responses=documented(403, 413), response_class=Response)
    async def store_file(key: str, request: Request) -> Response:
        """Upload an object by its signed URL, with the content type that was signed."""
        content_type = request.headers.get("content-type", "")
        _permit(request, signer, "PUT", key, content_type)
        data = await read_body(request, max_bytes)
        await run_in_threadpool(store.put, key, data, content_type=content_type)
        return Response(status_code=200)

    return routes


def _permit(
    request: Request, signer: UrlSigner, method: str, key: str, content_type: str = ""
) -> None:
    """Raise 403 unless the URL is signed for this, and is not too old."""
    query = request.query_params
    expires = query.get("expires", "")
    permitted = (
        query.get("method") == method
        and re.fullmatch(r"[0-9]{1,12}", expires) is not None
        and signer.verify(method, key, int(expires), query.get("signature", ""), content_type)
    )
    if not permitted:
        raise ApiError(
            403,
            "forbidden",
            "The URL is not signed for this request, or has expired. Ask for a new one"
            + (", and send the content type it was made for." if method == "PUT" else "."),
        )
