"""The Uploads API: a place for a picture that no URL leads to."""

from __future__ import annotations

from typing import Final

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from photopipe_dagster.sandbox.freepik.mystic import InvalidParameter
from photopipe_dagster.sandbox.freepik.records import (
    ASSET_URL_SECONDS,
    UPLOAD_URL_SECONDS,
    FreepikRecords,
    Upload,
)
from photopipe_dagster.sandbox.freepik.refusals import problem

MAX_FILES: Final = 14
MAX_BYTES: Final = 20 * 1024 * 1024
CONTENT_TYPES: Final = ("image/png", "image/jpeg", "image/webp")


async def request_urls(request: Request, records: FreepikRecords) -> Response:
    """Make a place for each file that is announced."""
    types = await _content_types(request)
    if isinstance(types, InvalidParameter):
        return problem([types], wrapped=records.alternate())
    base = f"{request.base_url}freepik/_uploads"
    places = [records.reserve_upload(content_type) for content_type in types]
    return JSONResponse(
        {
            "files": [
                {
                    "file_id": place.id,
                    "upload_url": f"{base}/{place.id}",
                    "headers": required_headers(place),
                    "asset_url": f"{base}/{place.id}",
                    "expires_in": UPLOAD_URL_SECONDS,
                    "asset_url_expires_in": ASSET_URL_SECONDS,
                }
                for place in places
            ]
        }
    )


async def _content_types(request: Request) -> list[str] | InvalidParameter:
    try:
        payload = await request.json()
    except ValueError:
        return InvalidParameter("files", "is required, as JSON")
    files = payload.get("files") if isinstance(payload, dict) else None
    if not isinstance(files, list) or not 1 <= len(files) <= MAX_FILES:
        return InvalidParameter("files", f"must be a list of 1 to {MAX_FILES}")
    types = [
        item["content_type"]
        for item in files
        if isinstance(item, dict) and item.get("content_type") in CONTENT_TYPES
    ]
    if len(types) < len(files):
        return InvalidParameter("files", f"content_type is one of {', '.join(CONTENT_TYPES)}")
    return types


def required_headers(place: Upload) -> dict[str, str]:
    """Headers that the upload has to bring, exactly."""
    return {
        "Content-Type": place.content_type,
        "x-goog-content-length-range": f"0,{MAX_BYTES}",
    }


async def put(request: Request, upload_id: str, records: FreepikRecords) -> Response:
    """Take the bytes; insists on the returned headers, and that the key stays at home."""
    place = records.open_upload(upload_id)
    if place is None:
        return Response("ExpiredToken", status_code=400, media_type="text/plain")
    if any(name in request.headers for name in records.config.freepik_key_headers):
        return Response("InvalidArgument: API key sent", status_code=400, media_type="text/plain")
    for name, value in required_headers(place).items():
        if request.headers.get(name) != value:
            return Response(f"SignatureDoesNotMatch: {name}", status_code=403)
    data = await request.body()
    if len(data) > MAX_BYTES:
        return Response("EntityTooLarge", status_code=400, media_type="text/plain")
    place.data = data
    return Response(status_code=200)
