"""Replicate's API: predictions are ordered once, and looked at until they have ended.

A prediction whose answer was lost is looked for among those made since it was ordered: by its whole
input, which has the seed of its photo, or else by the bytes of the file that it was given.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, Field

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.providers.base import ProviderContext
from photopipe_dagster.providers.remote.api import Api, ordered
from photopipe_dagster.providers.replicate.models import Model
from photopipe_dagster.providers.replicate.settings import ReplicateSettings

DELIVERY: Final = "replicate.delivery"
"""Outputs are there, or at a host below it."""

_MARGIN: Final = timedelta(seconds=5)
"""So much earlier than it was ordered a prediction may have been made, as clocks differ."""

_PAGES: Final = 5
"""Of 100 predictions each are looked through, at most."""


class Prediction(BaseModel):
    """What is read of a prediction; it has more.

    Args:
        output: A URL, several, or nothing.
        data_removed: Its output was deleted, an hour after it ended.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str = Field(min_length=1)
    status: str
    input: dict[str, Any] = {}
    output: str | list[str] | None = None
    error: str | None = None
    data_removed: bool = False


class _Page(BaseModel):
    results: list[Prediction]
    next: str | None = None


class _Urls(BaseModel):
    get: str = Field(min_length=1)


class _File(BaseModel):
    urls: _Urls
    checksums: dict[str, str] = {}


class ReplicateClient(Api):
    """One account. Predictions count for its limit, and so do uploads."""

    def __init__(self, own: ReplicateSettings, context: ProviderContext) -> None:
        super().__init__(own, context, hosts=_delivers)
        self._context = context

    async def upload(self, data: bytes, content_type: str) -> str:
        """Put a photo where a model reads it, for nothing; its URL.

        Raises:
            ProviderError, RateLimitError, NetworkError: It was not taken.
        """
        name = f"{secrets.token_hex(8)}.{content_type.partition('/')[2]}"
        files = {"content": (name, data, content_type)}
        response = await self.ask("POST", "/files", code=ErrorCode.SEGMENTATION_ERROR, files=files)
        return self.read(response, _File).urls.get

    async def order(
        self, model: Model, given: Mapping[str, Any], *, code: ErrorCode, cancel_after: float
    ) -> str:
        """Order a prediction, once; its id. One whose answer is lost is looked for.

        Args:
            given: All of its input.
            code: What a refusal of the input is called.
            cancel_after: Seconds after which Replicate stops it.

        Raises:
            ProviderError, RateLimitError, NetworkError: See `remote.errors`.
        """
        path, body = f"/models/{model.name}/predictions", dict[str, Any](input=dict(given))
        if model.version is not None:
            path, body = "/predictions", body | {"version": model.version}
        headers = {"Cancel-After": f"{cancel_after:.0f}s"}

        async def order() -> str:
            response = await self.ask(
                "POST", path, paid=True, code=code, json=body, headers=headers
            )
            return self.read(response, Prediction, paid=True).id

        return await ordered(order, partial(self.look_for, body["input"], self._context.now))

    async def get(self, prediction_id: str) -> Prediction | None:
        """How far a prediction is; ``None``: there is none.

        Raises:
            ProviderError, RateLimitError, NetworkError: Replicate did not say.
        """
        response = await self.send("GET", f"/predictions/{quote(prediction_id, safe='')}")
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        self.raise_refusal(response)
        return self.read(response, Prediction)

    async def look_for(
        self, given: Mapping[str, Any], began: datetime, sha256: str | None = None
    ) -> str | None:
        """The id of a prediction with that input; ``None``: it is not listed.

        Args:
            began: When it was ordered, by our clock.
            sha256: Of the photo, where its input's ``image`` is not known any more.

        Raises:
            ProviderError, RateLimitError, NetworkError: Replicate did not say.
        """
        ago = self._context.now - began + _MARGIN
        response = await self.ask("GET", "/account")
        since = _time_of(response, self._context.now) - ago
        url, params = "/predictions", {"created_after": f"{since:%Y-%m-%dT%H:%M:%S.%fZ}"}
        for _ in range(_PAGES):
            page = self.read(await self.ask("GET", url, params=params), _Page)
            for each in page.results:
                if await self._matches(each.input, given, sha256):
                    return each.id
            if page.next is None or not self.is_ours(page.next):
                return None
            url, params = page.next, {}
        return None

    async def _matches(
        self, found: Mapping[str, Any], given: Mapping[str, Any], sha256: str | None
    ) -> bool:
        if sha256 is None:
            return found == given
        image = str(found.get("image", ""))
        if {**found, "image": ""} != {**given, "image": ""} or not self.is_ours(image):
            return False
        response = await self.send("GET", f"/files/{image.rpartition('/')[2]}")
        return response.is_success and self.read(response, _File).checksums.get("sha256") == sha256


def _time_of(response: httpx.Response, otherwise: datetime) -> datetime:
    """The time of day at a server, which its own clock says."""
    try:
        return parsedate_to_datetime(response.headers["date"])
    except (KeyError, ValueError):
        return otherwise


def _delivers(host: str) -> bool:
    return host == DELIVERY or host.endswith(f".{DELIVERY}")
