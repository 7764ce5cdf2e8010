"""A server of one's own: a photo is sent, and the answer is its cut-out.

There is no number to ask for: what the answer brings is all that there is. So a request is sent
once, and an answer that is lost is counted as paid.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
from collections.abc import Mapping
from typing import Any, Final

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photopipe_dagster.core.errors import ErrorCode, PhotoRejectedError, ProviderError
from photopipe_dagster.core.json_text import read_json
from photopipe_dagster.imaging.decode import decode_rgb, inspect
from photopipe_dagster.providers.base import Cutout, Original, ProviderContext, Purchase
from photopipe_dagster.providers.http.settings import HttpSettings
from photopipe_dagster.providers.remote.api import Api
from photopipe_dagster.providers.remote.downloads import MAX_RESULT_BYTES
from photopipe_dagster.providers.remote.provider import RemoteProvider

MAX_PIXELS: Final = 100_000_000

_PNG: Final = b"\x89PNG\r\n\x1a\n"


class _UnreadableError(Exception):
    """An answer that is no picture; says what it is."""


class Provider(RemoteProvider[HttpSettings]):
    """One server, as the HTTP_CUTOUT_ variables describe it."""

    name = "http"

    def __init__(self, context: ProviderContext) -> None:
        own = context.settings.of(HttpSettings)
        super().__init__(own, context, Api(own, context, limited=frozenset()))
        self._turn = asyncio.Semaphore(own.http_cutout_at_once)

    def cutout_parameters(self) -> Mapping[str, str]:
        """What runs there, and what it is told."""
        own = self.own
        return {"model": own.http_cutout_model, "gives": own.http_cutout_gives, **own.options()}

    async def remove_background(self, original: Original, purchase: Purchase) -> Cutout:
        """Have the product cut out."""
        # More at once would only wait there, and use up the time that an answer may take.
        async with self._turn:
            response = await self.api.ask(
                "POST",
                self.own.url(),
                paid=True,
                code=ErrorCode.SEGMENTATION_ERROR,
                timeout=httpx.Timeout(self.own.http_cutout_seconds, connect=5.0),
                **self._body(original),
            )
        try:
            made = await asyncio.to_thread(self._cutout, response.content, original)
        except (_UnreadableError, PhotoRejectedError) as error:
            raise self._unexpected(response, str(error).rstrip(".")) from error
        return Cutout(made, model=self.own.http_cutout_model)

    def _unexpected(self, response: httpx.Response, what: str) -> ProviderError:
        return self.api.answers.unexpected(response, [what], paid=True)

    def _body(self, original: Original) -> dict[str, Any]:
        own, options = self.own, dict(self.own.options())
        match own.http_cutout_request:
            case "multipart":
                suffix = original.content_type.partition("/")[2]
                file = (f"photo.{suffix}", original.data, original.content_type)
                return {"files": {own.http_cutout_field: file}, "data": options}
            case "bytes":
                headers = {"Content-Type": original.content_type}
                return {"content": original.data, "headers": headers, "params": options or None}
            case "json":
                photo = base64.b64encode(original.data).decode()
                return {"json": {own.http_cutout_field: photo, **options}}

    def _picture(self, content: bytes) -> bytes:
        """The picture of an answer."""
        if len(content) > MAX_RESULT_BYTES:
            raise _UnreadableError(f"more than {MAX_RESULT_BYTES} bytes")
        if not self.own.http_cutout_answer:
            return content
        try:
            found: Any = read_json(content)
            for part in self.own.http_cutout_answer.split("."):
                found = found[int(part)] if isinstance(found, list) else found[part]
            written = found.partition(",")[2] if found.startswith("data:") else found
            return base64.b64decode(written, validate=True)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, binascii.Error):
            raise _UnreadableError(
                f"no base64 at {self.own.http_cutout_answer!r} (HTTP_CUTOUT_ANSWER)"
            ) from None

    def _cutout(self, content: bytes, original: Original) -> bytes | NDArray[np.uint8]:
        """A PNG with transparency as it is, anything else as pixels.

        Returns:
            A PNG, or (height, width, 4) uint8, straight alpha, sRGB.
        """
        picture = self._picture(content)
        if self.own.http_cutout_gives == "mask":
            return _masked(original.data, picture)
        inspect(picture, max_pixels=MAX_PIXELS)
        if picture.startswith(_PNG):
            return picture
        with Image.open(io.BytesIO(picture)) as opened:
            if "A" not in opened.getbands():
                raise PhotoRejectedError(
                    "it has no transparency; set HTTP_CUTOUT_GIVES=mask if it is a mask"
                )
            return np.asarray(opened.convert("RGBA"))


def _masked(photo: bytes, mask: bytes) -> NDArray[np.uint8]:
    """The photo's own pixels, with a mask for their transparency."""
    inspect(mask, max_pixels=MAX_PIXELS)
    rgb = decode_rgb(photo, max_pixels=MAX_PIXELS)
    height, width = rgb.shape[:2]
    with Image.open(io.BytesIO(mask)) as opened:
        grey = opened.getchannel("A") if "A" in opened.getbands() else opened.convert("L")
        alpha = grey if grey.size == (width, height) else grey.resize((width, height))
    return np.dstack([rgb, np.asarray(alpha)])
