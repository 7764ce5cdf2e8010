"""Background removal: synchronous, by URL, with four URLs for an answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from photopipe_dagster.sandbox.download import UnreachableError, download
from photopipe_dagster.sandbox.freepik.mystic import InvalidParameter
from photopipe_dagster.sandbox.freepik.records import FreepikRecords
from photopipe_dagster.sandbox.freepik.refusals import message, problem
from photopipe_dagster.sandbox.pictures import NotAPictureError, look, shrink
from photopipe_dagster.sandbox.traffic import fault_of

MAX_INPUT_BYTES: Final = 20 * 1024 * 1024
MAX_OUTPUT_PIXELS: Final = 25_000_000
_FORM: Final = "application/x-www-form-urlencoded"
_INPUT_TYPES: Final = frozenset({"image/jpeg", "image/png"})


@dataclass(frozen=True, slots=True)
class _Photo:
    data: bytes = field(repr=False)
    content_type: str


async def remove_background(request: Request, records: FreepikRecords) -> Response:
    """Fetch the picture, cut it out, charge, and answer with URLs that die in five minutes."""
    given = await _image_url(request)
    if isinstance(given, InvalidParameter):
        return problem([given], wrapped=records.alternate())
    photo = await _fetch(given, records)
    if isinstance(photo, str):
        return message(400, photo)
    png = await asyncio.to_thread(records.config.cut_out, photo.data)
    high = await asyncio.to_thread(shrink, png, MAX_OUTPUT_PIXELS)
    cutout = records.sell_cutout(
        {
            "original": (photo.data, photo.content_type),
            "high.png": (high, "image/png"),
        },
        dead=fault_of(request) == "expired_url",
    )
    base = f"{request.base_url}freepik/v1/ai/beta/images/download/{cutout.id}"
    return JSONResponse(
        {
            "original": f"{base}/original",
            "high_resolution": f"{base}/high.png",
            "preview": f"{base}/preview.png",
            "url": f"{base}/high.png",
        }
    )


async def _image_url(request: Request) -> str | InvalidParameter:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != _FORM:
        # Whatever the body says, it is not read: only a form is.
        return InvalidParameter("image_url", f"is required, as {_FORM}")
    form = await request.form()
    unknown = sorted(set(form) - {"image_url"})
    if unknown:
        return InvalidParameter(unknown[0], "no such parameter")
    values = form.getlist("image_url")
    if len(values) != 1 or not isinstance(values[0], str) or not values[0]:
        return InvalidParameter("image_url", "is required, once")
    return values[0]


async def _fetch(url: str, records: FreepikRecords) -> _Photo | str:
    """The picture behind a URL, or what is wrong with it."""
    try:
        data = await download(url, max_bytes=MAX_INPUT_BYTES, transport=records.config.transport)
    except UnreachableError as error:
        return f"The image could not be downloaded: {error}."
    try:
        facts = await asyncio.to_thread(look, data, whole=True)
    except NotAPictureError:
        return "The file behind image_url is not an image."
    if facts.content_type not in _INPUT_TYPES:
        return f"image_url must be a JPG or PNG, not {facts.content_type}."
    return _Photo(data, facts.content_type)
