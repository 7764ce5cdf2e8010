"""Freepik as a provider: what is bought, when the purchase is told, and how a result is fetched.

A photo's money hangs on the order of things here. A paid request is sent at most once unless it
was refused; the purchase is told the reference before anything else is done with it; and from then
on trouble is `StillRunningError`, which leaves the purchase open, until the result is fetched,
Freepik says that there is none, or a *resumed* reference turns out to have expired
(`ResultGoneError`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

import httpx

from photopipe_dagster.core.errors import (
    Billed,
    ErrorCode,
    PhotoRejectedError,
    ProviderError,
)
from photopipe_dagster.net.rate_limit import TokenBucket, shared_bucket
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
from photopipe_dagster.providers.freepik import image_io, mystic
from photopipe_dagster.providers.freepik.client import FreepikClient
from photopipe_dagster.providers.freepik.errors import pending_purchase
from photopipe_dagster.providers.freepik.models import MysticTask, RemovedBackground
from photopipe_dagster.providers.freepik.settings import FreepikSettings
from photopipe_dagster.providers.freepik.task_poller import REQUESTS_PER_LIST, TaskPoller

_CUTOUT_MODEL: Final = "freepik/remove-background-beta"


class FreepikProvider:
    """Cuts out and makes backgrounds with Freepik's (Magnific's) API.

    Args:
        context: Its settings are `FreepikSettings`; its time decides the prices.

    Raises:
        ConfigurationError: The key is missing, or a setting is unknown to Freepik.
    """

    name = "freepik"

    def __init__(self, context: ProviderContext) -> None:
        own = context.settings.of(FreepikSettings)
        own.check()
        share = own.freepik_requests_per_minute / context.settings.worker_processes
        if context.in_real_time:
            limiter = shared_bucket(f"freepik {own.freepik_api_url}", share)
        else:
            limiter = TokenBucket.per_minute(share, clock=context.clock, sleep=context.sleep)
        self._settings = own
        self._model = own.freepik_model
        self._task_timeout_seconds = own.freepik_task_timeout_seconds
        self._context = context
        self._prices = own.prices()
        self._sleep = context.sleep
        self._clock = context.clock
        self._client = FreepikClient(
            own, limiter=limiter, transport=context.transport, sleep=context.sleep
        )
        every = max(own.freepik_poll_seconds, 60 * REQUESTS_PER_LIST / share)
        self._poller = TaskPoller(self._client, every=every, clock=context.clock)

    def __repr__(self) -> str:
        resolution = self._settings.freepik_resolution
        return f"FreepikProvider({self._client.host}, {self._model}, {resolution})"

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()

    # --- cut-outs ------------------------------------------------------------------------

    def cutout_parameters(self) -> Mapping[str, str]:
        """All that decides how a cut-out looks. How the photo gets there does not."""
        return {"api": "beta/remove-background", "output": "high_resolution"}

    def cutout_price(self) -> Decimal:
        """USD for one."""
        return self._prices.at(self._context.now)["cutout"]

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
        data = await self._fetch(url, fresh=fresh)
        if data is None:
            raise _not_there("cut-out", fresh=fresh)
        with _worth_another_look(fresh=fresh):
            picture, came = await asyncio.to_thread(image_io.displayed_cutout, data, original)
        return Cutout(
            picture=picture,
            model=_CUTOUT_MODEL,
            metadata={
                "resumed": not fresh,
                "delivered_width": came[0],
                "delivered_height": came[1],
            },
        )

    async def _order_cutout(self, image_url: str) -> RemovedBackground:
        try:
            return await self._client.remove_background(image_url)
        except ProviderError as error:
            if error.details.get("status") == 400 and self._settings.freepik_input == "url":
                # It says so, too, of a good photo that it could not fetch: while our API or the
                # object store is being restarted, say.
                error.retryable = True
            raise

    async def _image_url(self, original: Original) -> str:
        """Where Freepik finds the photo."""
        if self._settings.freepik_input == "upload":
            data, content_type = await asyncio.to_thread(image_io.uploadable, original)
            return await self._client.upload(data, content_type)
        if not image_io.acceptable(original):
            raise PhotoRejectedError(
                f"Freepik takes JPEG and PNG of at most {image_io.MAX_INPUT_BYTES} bytes, and this "
                f"is {original.content_type} of {len(original.data)}. Set FREEPIK_INPUT=upload to "
                "have such photos converted, or send another file."
            )
        url = original.signed_url()
        if _loopback(httpx.URL(url).host) and not _loopback(self._client.host):
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
            "model": self._model,
            "engine": self._settings.freepik_engine,
            "resolution": self._resolution_of(request),
            "aspect_ratio": mystic.aspect_ratio(request.width, request.height, self._model),
        }

    def background_price(self, request: BackgroundRequest) -> Decimal:
        """USD for one, by resolution."""
        article = f"background_{self._resolution_of(request)}"
        return self._prices.at(self._context.now)[article]

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
        task_id = purchase.reference
        fresh = task_id is None
        if task_id is None:
            task_id = (await self._client.create_mystic(self._fields(request))).task_id
            await purchase.submitted(task_id)
        async with purchase.released():
            with self._poller.watching(task_id):
                task = await self._finished(task_id, fresh=fresh)
        data = await self._fetch(_picture(task), fresh=fresh)
        if data is None:  # its address has expired: the task may know a new one
            with pending_purchase():
                again = await self._client.mystic_task(task_id)
            if again is not None and again.completed:
                data = await self._fetch(_picture(again), fresh=fresh)
        if data is None:
            raise _not_there("background", fresh=fresh)
        with _worth_another_look(fresh=fresh):
            content_type, size = await asyncio.to_thread(image_io.background_type, data)
        return Background(
            data=data,
            content_type=content_type,
            model=f"freepik/mystic-{self._model}",
            metadata=self._facts(request, task_id, size, resumed=not fresh),
        )

    def _resolution_of(self, request: BackgroundRequest) -> str:
        return mystic.resolution(request.width, request.height, self._settings.freepik_resolution)

    def _fields(self, request: BackgroundRequest) -> dict[str, Any]:
        asked = dict(self.background_parameters(request))
        del asked["api"]
        return {**asked, "filter_nsfw": True}

    def _facts(
        self, request: BackgroundRequest, task_id: str, size: tuple[int, int], *, resumed: bool
    ) -> dict[str, Any]:
        asked = self.background_parameters(request)
        return {
            **{name: asked[name] for name in ("engine", "resolution", "aspect_ratio")},
            "task_id": task_id,
            "resumed": resumed,
            "delivered_width": size[0],
            "delivered_height": size[1],
        }

    async def _finished(self, task_id: str, *, fresh: bool) -> MysticTask:
        """Wait until a task is COMPLETED."""
        deadline = self._clock() + self._task_timeout_seconds
        wait = fresh  # a task of an earlier process may have been finished long ago
        while True:
            if wait:
                await self._sleep(self._settings.freepik_poll_seconds * random.uniform(0.75, 1.25))
            wait = True
            with pending_purchase():
                task = await self._poller.status(task_id)
            if task is None and not fresh:
                raise _not_there("background", fresh=False)
            if task is not None and task.failed:
                raise ProviderError(
                    "Freepik could not make the background, and gives no reason. Nobody knows "
                    "whether it bills that, so its price is counted. If it goes on, change the "
                    "theme's prompt.",
                    billed=Billed.UNKNOWN,
                    code=ErrorCode.BACKGROUND_ERROR,
                    details={"task_id": task_id},
                    retryable=True,
                    service_down=True,  # where one after another fails
                )
            if task is not None and task.completed:
                return task
            if self._clock() >= deadline:
                raise StillRunningError(
                    f"Freepik was still at work on the background after "
                    f"{self._task_timeout_seconds:g} s. It is bought: the next try goes on "
                    "waiting without paying again.",
                    billed=Billed.UNKNOWN,
                    code=ErrorCode.BACKGROUND_ERROR,
                    details={"task_id": task_id},
                )

    # --- both ----------------------------------------------------------------------------

    async def _fetch(self, url: str, *, fresh: bool) -> bytes | None:
        """A result's bytes, or ``None`` if it is not there (any more)."""
        if not fresh and not self._client.fetchable(url):
            return None
        with pending_purchase():
            return await self._client.download(url)


def _picture(task: MysticTask) -> str:
    """The address of a completed task's picture.

    Raises:
        ProviderError: BACKGROUND_ERROR: it has none, or none that may be used.
    """
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


@contextmanager
def _worth_another_look(*, fresh: bool) -> Iterator[None]:
    """What was made just now and is no whole picture stays bought: the way to it may be broken.

    The next try fetches it again, and only what is no picture then either is given up.
    """
    try:
        yield
    except ProviderError as error:
        if not (fresh and error.retryable):
            raise
        raise StillRunningError(
            f"{error.message} It stays bought: the next try fetches it again without paying.",
            billed=Billed.UNKNOWN,
            details=error.details,
            code=error.code,
        ) from error


def _not_there(what: str, *, fresh: bool) -> Exception:
    """What it means that a result is not there: it has expired, unless it was made just now.

    A new result that is not there yet gets another try. Were it `ResultGoneError` at once, a fault
    of the download would buy the same picture again and again.
    """
    if fresh:
        return StillRunningError(
            f"Freepik made the {what}, and it is not at its address yet. It is bought: the next "
            "try fetches it without paying again.",
            billed=Billed.UNKNOWN,
        )
    return ResultGoneError(f"the {what} that was bought earlier is not at Freepik's any more")


def _loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
