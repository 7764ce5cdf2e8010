"""Freepik as a provider: what is asked of it, and what its answers mean."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import httpx

from photopipe_dagster.core.errors import (
    Billed,
    ErrorCode,
    PhotoRejectedError,
    ProviderError,
)
from photopipe_dagster.providers.base import (
    Background,
    BackgroundRequest,
    Cutout,
    Original,
    ProviderContext,
    Purchase,
)
from photopipe_dagster.providers.freepik import mystic
from photopipe_dagster.providers.freepik.client import FreepikClient
from photopipe_dagster.providers.freepik.models import MysticTask, RemovedBackground
from photopipe_dagster.providers.freepik.settings import FreepikSettings
from photopipe_dagster.providers.freepik.task_poller import REQUESTS_PER_LIST, TaskPoller
from photopipe_dagster.providers.remote import pictures
from photopipe_dagster.providers.remote.errors import pending_purchase
from photopipe_dagster.providers.remote.provider import JobProvider, Progress

_CUTOUT_MODEL: Final = "freepik/remove-background-beta"


INPUT: Final = pictures.InputLimits("Freepik", 20_000_000)
"""Freepik takes "20 MB"; read the strict way."""


class Provider(JobProvider[FreepikSettings, MysticTask]):
    """Cuts out and makes backgrounds with Freepik's (Magnific's) API.

    Args:
        context: Its settings are `FreepikSettings`; its time decides the prices.

    Raises:
        ConfigurationError: The key is missing, or a setting is unknown to Freepik.
    """

    name = "freepik"
    late = ErrorCode.BACKGROUND_ERROR

    def __init__(self, context: ProviderContext) -> None:
        own = context.settings.of(FreepikSettings)
        own.check()
        self._client = FreepikClient(own, context)
        super().__init__(own, context, self._client)
        share = own.freepik_requests_per_minute / context.settings.worker_processes
        every = max(own.freepik_poll_seconds, 60 * REQUESTS_PER_LIST / share)
        self._poller = TaskPoller(self._client, every=every, clock=context.clock)

    def __repr__(self) -> str:
        host, own = self._client.base.host, self.own
        return f"FreepikProvider({host}, {own.freepik_model}, {own.freepik_resolution})"

    # --- cut-outs ------------------------------------------------------------------------

    def cutout_parameters(self) -> Mapping[str, str]:
        """All that decides how a cut-out looks. How the photo gets there does not."""
        return {"api": "beta/remove-background", "output": "high_resolution"}

    async def remove_background(self, original: Original, purchase: Purchase) -> Cutout:
        """Cut the product out. The result's address works for 5 minutes and is fetched at once.

        Raises:
            PhotoRejectedError: Freepik does not take such a file; nothing was bought.
            StillRunningError: Bought and not fetched; the next try resumes.
            ProviderError, RateLimitError, NetworkError: As in `errors`.
            ResultGoneError: The purchase was resumed and its result has expired.
        """
        url = purchase.reference
        fresh = url is None
        if url is None:
            removed = await self._order_cutout(await self._image_url(original))
            url = removed.high_resolution
            await purchase.submitted(url)
        elif not self.api.fetchable(url):
            self.not_there("cut-out", fresh=False)
        data = await self.fetched(url, "cut-out", fresh=fresh)
        return await self.cutout_of(data, original, _CUTOUT_MODEL, fresh=fresh)

    async def _order_cutout(self, image_url: str) -> RemovedBackground:
        try:
            return await self._client.remove_background(image_url)
        except ProviderError as error:
            if error.details.get("status") == 400 and self.own.freepik_input == "url":
                # It says so, too, of a good photo that it could not fetch: while our API or the
                # object store is being restarted, say.
                error.retryable = True
            raise

    async def _image_url(self, original: Original) -> str:
        """Where Freepik finds the photo."""
        if self.own.freepik_input == "upload":
            data, content_type = await asyncio.to_thread(pictures.uploadable, original, INPUT)
            return await self._client.upload(data, content_type)
        if not pictures.acceptable(original, INPUT):
            raise PhotoRejectedError(
                f"Freepik takes JPEG and PNG of at most {INPUT.bytes} bytes, and this "
                f"is {original.content_type} of {len(original.data)}. Set FREEPIK_INPUT=upload to "
                "have such photos converted, or send another file."
            )
        url = original.signed_url()
        if _loopback(httpx.URL(url).host) and not _loopback(self._client.base.host):
            raise ProviderError(
                "Freepik cannot download photos from this machine. Set FREEPIK_INPUT=upload, or "
                "use an object store that can be reached from the internet."
            )
        return url

    # --- backgrounds ---------------------------------------------------------------------

    def background_parameters(self, request: BackgroundRequest) -> Mapping[str, str]:
        """All that decides how a background looks; Mystic takes no seed."""
        return {
            "api": "mystic",
            "prompt": request.theme.prompt,
            "model": self.own.freepik_model,
            "engine": self.own.freepik_engine,
            "resolution": self._resolution_of(request),
            "aspect_ratio": mystic.aspect_ratio(
                request.width, request.height, self.own.freepik_model
            ),
        }

    def background_price(self, request: BackgroundRequest) -> Decimal:
        """USD for one, by resolution."""
        return self.price(f"background_{self._resolution_of(request)}")

    async def generate_background(
        self, request: BackgroundRequest, purchase: Purchase
    ) -> Background:
        """Have a background made, wait for it and fetch it.

        Whether a task that FAILED is billed is not documented: its price is counted as unknown.
        That one withheld as not safe for work is billed is an assumption too.

        Raises:
            StillRunningError: Bought and not ready or not fetched; the next try resumes.
            ProviderError, RateLimitError, NetworkError: As in `errors`; BACKGROUND_ERROR also if
                the task failed or its picture is not safe for work.
            ResultGoneError: The purchase was resumed and its task or picture is not there any more.
        """

        async def order() -> str:
            return (await self._client.create_mystic(self._fields(request))).task_id

        task, fresh = await self.bought(purchase, order)
        data = await self.fetch(_picture(task))
        if data is None:  # its address has expired: the task may know a new one
            with pending_purchase():
                again = await self._client.mystic_task(task.task_id)
            if again is not None and again.completed:
                data = await self.fetch(_picture(again))
        if data is None:
            self.not_there("background", fresh=fresh)
        asked = self.background_parameters(request)
        facts = {name: asked[name] for name in ("engine", "resolution", "aspect_ratio")}
        model = f"freepik/mystic-{self.own.freepik_model}"
        return await self.background_of(data, model, fresh=fresh, task_id=task.task_id, **facts)

    async def ended(self, reference: str, *, fresh: bool) -> MysticTask:
        """What a task ended as; where several are waited for, all are looked at at once."""
        with self._poller.watching(reference):
            return await super().ended(reference, fresh=fresh)

    async def look(self, reference: str) -> MysticTask | Progress:
        """How far a task is."""
        task = await self._poller.status(reference)
        if task is None:
            return Progress.MISSING
        return task if task.completed or task.failed else Progress.RUNNING

    def _resolution_of(self, request: BackgroundRequest) -> str:
        return mystic.resolution(request.width, request.height, self.own.freepik_resolution)

    def _fields(self, request: BackgroundRequest) -> dict[str, Any]:
        asked = dict(self.background_parameters(request))
        del asked["api"]
        return {**asked, "filter_nsfw": True}


def _picture(task: MysticTask) -> str:
    """The address of an ended task's picture.

    Raises:
        ProviderError: BACKGROUND_ERROR: it has none, or none that may be used.
    """
    if task.failed:
        raise ProviderError(
            "Freepik could not make the background, and gives no reason. Nobody knows whether it "
            "bills that, so its price is counted. If it goes on, change the theme's prompt.",
            billed=Billed.UNKNOWN,
            code=ErrorCode.BACKGROUND_ERROR,
            details={"task_id": task.task_id},
            retryable=True,
            service_down=True,  # where one after another fails
        )
    if any(task.has_nsfw):
        raise ProviderError(
            "Freepik's filter holds the background to be not safe for work. Change the theme's "
            "prompt.",
            billed=Billed.YES,
            code=ErrorCode.BACKGROUND_ERROR,
            details={"task_id": task.task_id},
        )
    if not task.generated:
        raise ProviderError(
            "Freepik says that the background is completed, and delivers none.",
            billed=Billed.YES,
            code=ErrorCode.BACKGROUND_ERROR,
            details={"task_id": task.task_id},
            retryable=True,
            service_down=True,
        )
    return task.generated[0]


def _loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
