"""Acme makes pictures by jobs: one is ordered, asked for until it is done, and fetched.

Ordering is what costs. So an order is sent once; its number is told to the purchase before it is
asked for; and from then on trouble leaves the purchase open, so that the next try goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx

from acme_cutouts.settings import CutoutsSettings
from photopipe_dagster.core.errors import Billed, ProviderError, RateLimitError
from photopipe_dagster.core.probe import PartStatus
from photopipe_dagster.net.client import Retry, new_client, send
from photopipe_dagster.providers.base import (
    Background,
    BackgroundRequest,
    Cutout,
    Original,
    ProviderContext,
    Purchase,
    ResultGoneError,
    StillRunningError,
)

POLL_SECONDS = 0.2
PATIENCE_SECONDS = 120.0


class CutoutsProvider:
    """One account at Acme."""

    name = "acme-cutouts"

    def __init__(self, context: ProviderContext) -> None:
        own = context.settings.of(CutoutsSettings)
        key = own.acme_cutouts_key.get_secret_value() if own.acme_cutouts_key else ""
        self._context = context
        self._prices = own.prices()
        self._sleep = context.sleep
        self._retry = Retry(sleep=context.sleep)
        self._http = new_client(
            base_url=own.acme_cutouts_url,
            headers={"Authorization": key},
            transport=context.transport,
        )

    async def aclose(self) -> None:
        """Close connections."""
        await self._http.aclose()

    async def account(self) -> PartStatus:
        """How the service takes the key."""
        response = await self._ask("GET", "/account", safe=True)
        if response.status_code == 401:
            return "unauthorized"
        return "connected" if response.is_success else "unreachable"

    def cutout_parameters(self) -> Mapping[str, str]:
        """Acme has one model."""
        return {"model": "scissors-1"}

    def cutout_price(self) -> Decimal:
        """USD for one."""
        return self._prices.at(self._context.now)["cutout"]

    async def remove_background(self, original: Original, purchase: Purchase) -> Cutout:
        """Cut the product out."""
        headers = {"Content-Type": original.content_type}
        png = await self._bought(purchase, "/cutouts", content=original.data, headers=headers)
        return Cutout(png, model="scissors-1")

    def background_parameters(self, request: BackgroundRequest) -> Mapping[str, str]:
        """Size and seed are part of every recipe."""
        return {"model": "brush-1", "prompt": request.theme.prompt}

    def background_price(self, request: BackgroundRequest) -> Decimal:
        """USD for one, of any size."""
        return self._prices.at(self._context.now)["background"]

    async def generate_background(
        self, request: BackgroundRequest, purchase: Purchase
    ) -> Background:
        """Make a background."""
        order = {
            "prompt": request.theme.prompt,
            "width": request.width,
            "height": request.height,
            "seed": request.seed,
        }
        jpeg = await self._bought(purchase, "/backgrounds", json=order)
        return Background(jpeg, "image/jpeg", model="brush-1")

    async def _bought(self, purchase: Purchase, path: str, **order: Any) -> bytes:
        """The picture of a new order, or of the one that an earlier process has made."""
        number, resumed = purchase.reference, True
        if number is None:
            number, resumed = await self._order(path, order), False
            await purchase.submitted(number)
        job = f"/jobs/{quote(number, safe='')}"
        async with purchase.released():
            for _ in range(int(PATIENCE_SECONDS / POLL_SECONDS)):
                response = await self._ask("GET", job, safe=True)
                match response.status_code:
                    case 200:
                        return response.content
                    case 404 if resumed:
                        raise ResultGoneError
                    case 202:
                        await self._sleep(POLL_SECONDS)
                    case status:
                        raise StillRunningError(
                            f"Acme answers for a picture that is paid with status {status}. The "
                            "next try asks again, without paying.",
                            details={"status": status},
                        )
        raise StillRunningError("Acme is still at work. The next try goes on, without paying.")

    async def _order(self, path: str, order: Mapping[str, Any]) -> str:
        """Order a picture; its number."""
        response = await self._ask("POST", path, safe=False, **order)
        status = response.status_code
        if status == 429:
            raise RateLimitError("Acme asks to slow down.")
        if response.is_success:
            with suppress(ValueError, KeyError):
                return str(response.json()["job"])
        # Nobody knows how far a 5xx got, or what an unreadable answer means; a 503 did nothing.
        failed = status >= 500
        unknown = response.is_success or (failed and status != 503)
        raise ProviderError(
            f"Acme answers an order with status {status}, and no number.",
            billed=Billed.UNKNOWN if unknown else Billed.NO,
            details={"status": status},
            retryable=failed,
        )

    async def _ask(self, method: str, path: str, *, safe: bool, **body: Any) -> httpx.Response:
        request = self._http.build_request(method, path, **body)
        return await send(self._http, request, safe=safe, service="Acme", retry=self._retry)
