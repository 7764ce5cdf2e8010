"""Cut-outs and backgrounds by models that run at fal, through its queue.

What a request has ended as is told by asking for its result: that is the model's own answer, with
the units that it took. It is there for some minutes to an hour.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, Final

import httpx
from pydantic import BaseModel, ConfigDict, Field

from photopipe_dagster.core.errors import Billed, ErrorCode, ProviderError
from photopipe_dagster.net.client import send
from photopipe_dagster.providers.base import (
    Background,
    BackgroundRequest,
    Cutout,
    Original,
    ProviderContext,
    Purchase,
)
from photopipe_dagster.providers.fal.models import BACKGROUND, CUTOUT
from photopipe_dagster.providers.fal.settings import FalSettings
from photopipe_dagster.providers.remote.api import Api, ordered
from photopipe_dagster.providers.remote.errors import Answers, pending_purchase, word_at
from photopipe_dagster.providers.remote.provider import JobProvider, Progress

_MEGAPIXEL: Final = 1_000_000
_MULTIPLE: Final = 16
_SEEDS: Final = 2**31
_MARGIN: Final = timedelta(seconds=5)
_NO_OTHER: Final = {"x-app-fal-disable-fallback": "true"}
"""Else another model might answer, at another price."""


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())


class _Ordered(_Read):
    request_id: str = Field(min_length=1)


class Status(_Read):
    """How far a request is. One that has failed is COMPLETED, too.

    Args:
        reference: What the request is called here.
    """

    reference: str = ""
    status: str
    error: str | None = None
    error_type: str | None = None


class _Ticket(_Read):
    token: str = Field(repr=False)
    token_type: str
    base_url: str


class _Uploaded(_Read):
    access_url: str = Field(min_length=1)


class _Picture(_Read):
    url: str = Field(min_length=1, repr=False)


class _Result(_Read):
    image: _Picture | None = None
    images: list[_Picture] = []
    has_nsfw_concepts: list[bool] = []


class _Known(_Read):
    request_id: str
    json_input: dict[str, Any] | None = None


class _History(_Read):
    items: list[_Known] = []


class _Answers(Answers):
    def status(self, response: httpx.Response) -> int:
        """An account without credit is 403 here, and says that it is locked."""
        locked = response.status_code == 403 and b"User is locked" in response.content
        return 402 if locked else response.status_code


class Provider(JobProvider[FalSettings, Status]):
    """One account at fal. The reference of a request is the model's owner and app, and its id."""

    name = "fal"

    def __init__(self, context: ProviderContext) -> None:
        own = context.settings.of(FalSettings)
        api = Api(own, context, answers=_Answers(own), hosts=_delivers)
        super().__init__(own, context, api)

    def cutout_parameters(self) -> Mapping[str, str]:
        """The model, and what it is told."""
        return _parameters(self.own.fal_cutout_model, CUTOUT)

    async def remove_background(self, original: Original, purchase: Purchase) -> Cutout:
        """Have the product cut out."""
        model, code = self.own.fal_cutout_model, ErrorCode.SEGMENTATION_ERROR
        price = self.cutout_price()

        async def order() -> str:
            url = await self._upload(original)
            return await self._order(model, {"image_url": url, **CUTOUT[model]}, code)

        ended, fresh = await self.bought(purchase, order)
        url = await self._picture(ended, purchase, price, code, fresh=fresh)
        data = await self.fetched(url, "cut-out", fresh=fresh)
        return await self.cutout_of(data, original, model, fresh=fresh)

    def background_parameters(self, request: BackgroundRequest) -> Mapping[str, str]:
        """The model, the prompt and the size; the seed is part of every recipe."""
        width, height = _size(request)
        told = {"prompt": request.theme.prompt, "size": f"{width}x{height}"}
        return {**_parameters(self.own.fal_background_model, BACKGROUND), **told}

    async def generate_background(
        self, request: BackgroundRequest, purchase: Purchase
    ) -> Background:
        """Have a background made, from words alone."""
        model, code = self.own.fal_background_model, ErrorCode.BACKGROUND_ERROR
        price = self.background_price(request)
        width, height = _size(request)
        given = {
            "prompt": request.theme.prompt,
            "image_size": {"width": width, "height": height},
            "seed": request.seed % _SEEDS,
            **BACKGROUND[model],
        }
        order = partial(self._order, model, given, code)
        ended, fresh = await self.bought(purchase, order, partial(self._look_for, model, given))
        url = await self._picture(ended, purchase, price, code, fresh=fresh)
        data = await self.fetched(url, "background", fresh=fresh)
        return await self.background_of(data, model, fresh=fresh)

    async def look(self, reference: str) -> Status | Progress:
        """How far a request is. A word that is not known is taken for one that is under way."""
        response = await self.api.send("GET", f"{_path(reference)}/status")
        if response.status_code == httpx.codes.NOT_FOUND:
            return Progress.MISSING
        self.api.raise_refusal(response)
        found = self.api.read(response, Status)
        if found.status != "COMPLETED":
            return Progress.RUNNING
        return found.model_copy(update={"reference": reference})

    # --- orders ------------------------------------------------------------------------------

    async def _upload(self, original: Original) -> str:
        """Put a photo where a model reads it, for nothing; its URL."""
        own = self.own
        url = f"{own.fal_rest_url}/storage/auth/token?storage_type=fal-cdn-v3"
        ticket = self.api.read(await self.api.ask("POST", url, json={}), _Ticket)
        if not self.api.fetchable(ticket.base_url):
            raise ProviderError(
                "fal asked for an upload to an address that is not its own, or not https.",
                details={"service": "fal"},
            )
        request = self.api.files.build_request(
            "POST",
            f"{ticket.base_url.rstrip('/')}/files/upload",
            content=original.data,
            headers={
                "Authorization": f"{ticket.token_type} {ticket.token}",
                "Content-Type": original.content_type,
                "X-Fal-File-Name": f"photo.{original.content_type.partition('/')[2]}",
            },
        )
        response = await send(
            self.api.files, request, safe=True, service="fal's upload", retry=self.api.retry
        )
        self.api.raise_refusal(response, secrets=(ticket.token,))
        return self.api.read(response, _Uploaded).access_url

    async def _order(self, model: str, given: Mapping[str, Any], code: ErrorCode) -> str:
        """Order once; what an order is called. One whose answer is lost is looked for."""

        async def order() -> str:
            response = await self.api.ask(
                "POST", f"/{model}", paid=True, code=code, json=dict(given), headers=_NO_OTHER
            )
            return _reference(model, self.api.read(response, _Ordered, paid=True).request_id)

        return await ordered(order, partial(self._look_for, model, given, self.context.now))

    async def _look_for(self, model: str, given: Mapping[str, Any], began: datetime) -> str | None:
        """An order with that input since then; ``None``: it is not listed."""
        since = (began - _MARGIN).astimezone(UTC)
        params = {
            "endpoint_id": model,
            "start": f"{since:%Y-%m-%dT%H:%M:%S.%fZ}",
            "expand": "payloads",
            "limit": "100",
        }
        url = f"{self.own.fal_platform_url}/models/requests/by-endpoint"
        history = self.api.read(await self.api.ask("GET", url, params=params), _History)
        found = (each.request_id for each in history.items if each.json_input == dict(given))
        return next((_reference(model, number) for number in found), None)

    # --- results -----------------------------------------------------------------------------

    async def _picture(
        self,
        ended: Status,
        purchase: Purchase,
        price: Decimal,
        code: ErrorCode,
        *,
        fresh: bool,
    ) -> str:
        """Where the picture of a request is that has ended; the purchase is told what it cost."""
        if ended.error is not None or ended.error_type is not None:
            raise self._failure(ended, code)
        with pending_purchase():
            response = await self.api.send("GET", _path(ended.reference))
            if response.status_code == httpx.codes.NOT_FOUND:
                self.not_there("result", fresh=fresh)
            if response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
                kind = response.headers.get("x-fal-error-type")
                kind = kind or word_at(response, "detail", 0, "type")
                failed = Status(status="COMPLETED", error="422", error_type=kind)
            else:
                self.api.raise_refusal(response)
                failed = None
                result = self.api.read(response, _Result)
        if failed is not None:
            raise self._failure(failed, code)
        # Where it does not say, the price that was reserved is booked.
        with suppress(KeyError, InvalidOperation):
            purchase.costs(price * Decimal(response.headers["x-fal-billable-units"]))
        if any(result.has_nsfw_concepts):
            raise self.filtered(code)
        pictures = [each for each in (result.image, *result.images) if each is not None]
        if not pictures:
            raise self.useless("is missing", code)
        return pictures[0].url

    def _failure(self, ended: Status, code: ErrorCode) -> ProviderError:
        """A fault of fal's own is never billed; a refusal of the model's may be, if it worked."""
        kind = ended.error_type or ""
        if kind == "content_policy_violation":
            return self.filtered(code, Billed.UNKNOWN)
        own_fault = kind.startswith(("runner_", "startup_", "request_timeout", "internal_"))
        own_fault = own_fault or kind.startswith(("generation_timeout", "downstream_"))
        return ProviderError(
            f"fal could not make the picture ({kind or 'it does not say why'}). "
            + (
                "It was not billed, and is tried again."
                if own_fault
                else "It may be billed, so its price is counted. Check the photo, its theme and "
                "the FAL_ variables, then `photopipe retry JOB`."
            ),
            billed=Billed.NO if own_fault else Billed.UNKNOWN,
            code=code,
            retryable=own_fault,
            service_down=own_fault,
            details={"service": "fal"},
        )


def _reference(model: str, number: str) -> str:
    """Paths below a request have the model's owner and app alone."""
    return "/".join((*model.split("/")[:2], number))


def _path(reference: str) -> str:
    owner, app, number = reference.split("/")
    return f"/{owner}/{app}/requests/{number}"


def _parameters(model: str, models: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {"model": model, **{name: str(value) for name, value in models[model].items()}}


def _size(request: BackgroundRequest) -> tuple[int, int]:
    """Of at most a megapixel, which is the unit that is billed; sides are multiples of 16."""
    scale = min(1.0, math.sqrt(_MEGAPIXEL / (request.width * request.height)))
    width, height = (
        max(512, int(side * scale) // _MULTIPLE * _MULTIPLE)
        for side in (request.width, request.height)
    )
    return width, height


def _delivers(host: str) -> bool:
    return host == "fal.media" or host.endswith(".fal.media")
