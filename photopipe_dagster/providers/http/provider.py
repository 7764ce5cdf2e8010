"""A server of one's own: a photo is sent, and the answer is its cut-out.

There is no number to ask for: what the answer brings is all that there is. So a request is sent
once, and an answer that is lost is counted as paid.

| answer                        | error                             | billed, if it costs |
|-------------------------------|-----------------------------------|---------------------|
| 400, 413, 415, 422            | SEGMENTATION_ERROR, permanent     | no                  |
| 429 after all retries         | RATE_LIMIT_ERROR, retryable       | no                  |
| 503 after all retries         | API_ERROR, retryable              | no                  |
| other 3xx and 4xx             | API_ERROR, permanent              | no                  |
| 408, other 5xx                | API_ERROR, retryable              | unknown             |
| 2xx without a picture         | API_ERROR, permanent              | unknown             |
| none, and it may have arrived | NETWORK_ERROR, retryable          | unknown             |
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photopipe_dagster.core.errors import (
    Billed,
    ErrorCode,
    JobError,
    NetworkError,
    PhotoRejectedError,
    ProviderError,
    RateLimitError,
)
from photopipe_dagster.core.json_text import read_json
from photopipe_dagster.imaging.decode import decode_rgb, inspect
from photopipe_dagster.net.client import Retry, new_client, send
from photopipe_dagster.providers.base import Cutout, Original, ProviderContext, Purchase
from photopipe_dagster.providers.http.settings import HttpSettings

SERVICE: Final = "The cut-out server"
MAX_ANSWER_BYTES: Final = 100 * 1024 * 1024
MAX_PIXELS: Final = 100_000_000

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_REJECTED: Final = frozenset({400, 413, 415, 422})
_SETTINGS: Final = "Check HTTP_CUTOUT_URL and the other HTTP_CUTOUT_ variables"


class HttpProvider:
    """One server, as the HTTP_CUTOUT_ variables describe it."""

    name = "http"

    def __init__(self, context: ProviderContext) -> None:
        self._own = context.settings.of(HttpSettings)
        self._context = context
        self._prices = self._own.prices()
        self._retry = Retry(sleep=context.sleep)
        self._turn = asyncio.Semaphore(self._own.http_cutout_at_once)
        self._http = new_client(headers=dict(self._own.headers()), transport=context.transport)

    async def aclose(self) -> None:
        """Close connections."""
        await self._http.aclose()

    def cutout_parameters(self) -> Mapping[str, str]:
        """What runs there, and what it is told."""
        own = self._own
        return {"model": own.http_cutout_model, "gives": own.http_cutout_gives, **own.options()}

    def cutout_price(self) -> Decimal:
        """USD for one."""
        return self._prices.at(self._context.now).get("cutout", Decimal(0))

    async def remove_background(self, original: Original, purchase: Purchase) -> Cutout:
        """Have the product cut out."""
        # More at once would only wait there, and use up the time that an answer may take.
        async with self._turn:
            picture = await self._answered(original)
        try:
            made = await asyncio.to_thread(self._cutout, picture, original)
        except PhotoRejectedError as error:
            raise _unreadable(f"a picture that cannot be read ({error.message.rstrip('.')})") from (
                error
            )
        return Cutout(made, model=self._own.http_cutout_model)

    # --- request and answer ------------------------------------------------------------------

    async def _answered(self, original: Original) -> bytes:
        timeout = httpx.Timeout(self._own.http_cutout_seconds, connect=5.0)
        body = self._body(original)
        request = self._http.build_request("POST", self._own.url(), timeout=timeout, **body)
        try:
            response = await send(
                self._http, request, safe=False, service=SERVICE, retry=self._retry
            )
        except NetworkError as error:
            if not error.sent:
                raise
            raise ProviderError(
                f"{error.message} The photo may have arrived: it was not sent a second time.",
                billed=Billed.UNKNOWN,
                details=error.details,
                code=ErrorCode.NETWORK_ERROR,
                retryable=True,
            ) from error
        if not response.is_success:
            raise _refusal(response.status_code)
        if len(response.content) > MAX_ANSWER_BYTES:
            raise _unreadable(f"more than {MAX_ANSWER_BYTES} bytes")
        return self._picture(response.content)

    def _body(self, original: Original) -> dict[str, Any]:
        own, options = self._own, dict(self._own.options())
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
        if not self._own.http_cutout_answer:
            return content
        try:
            found: Any = read_json(content)
            for part in self._own.http_cutout_answer.split("."):
                found = found[int(part)] if isinstance(found, list) else found[part]
            written = found.partition(",")[2] if found.startswith("data:") else found
            return base64.b64decode(written, validate=True)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, binascii.Error):
            raise _unreadable(
                f"no base64 at {self._own.http_cutout_answer!r} (HTTP_CUTOUT_ANSWER)"
            ) from None

    def _cutout(self, picture: bytes, original: Original) -> bytes | NDArray[np.uint8]:
        """A PNG with transparency as it is, anything else as pixels.

        Returns:
            A PNG, or (height, width, 4) uint8, straight alpha, sRGB.
        """
        if self._own.http_cutout_gives == "mask":
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


def _refusal(status: int) -> JobError:
    details = {"service": SERVICE, "status": status}
    answered = f"{SERVICE} answered {status}."
    if status in _REJECTED:
        return ProviderError(
            f"{answered} Nothing was cut out. Check the photo and the HTTP_CUTOUT_ variables, "
            "then `photopipe retry JOB`.",
            code=ErrorCode.SEGMENTATION_ERROR,
            details=details,
        )
    if status == 429:
        return RateLimitError(f"{answered} Give it more machines if this goes on.", details=details)
    if status in (401, 403):
        return ProviderError(
            f"{answered} Check HTTP_CUTOUT_KEY and HTTP_CUTOUT_KEY_HEADER.", details=details
        )
    if status == 408 or status >= 500:
        return ProviderError(
            f"{answered} See its log.",
            billed=Billed.NO if status == 503 else Billed.UNKNOWN,
            retryable=True,
            details=details,
        )
    return ProviderError(f"{answered} {_SETTINGS}, then `photopipe retry JOB`.", details=details)


def _unreadable(what: str) -> ProviderError:
    return ProviderError(
        f"{SERVICE} answers with {what}. {_SETTINGS}.",
        billed=Billed.UNKNOWN,
        details={"service": SERVICE},
    )
