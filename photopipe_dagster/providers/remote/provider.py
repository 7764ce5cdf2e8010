"""How services sell pictures: as jobs that are asked for until they have ended, or at once.

A photo's money hangs on the order of things here. A paid request is sent at most once unless it
was refused. A job's reference is told to the purchase before anything else is done with it; and
from then on trouble is `StillRunningError`, which leaves the purchase open, until the result is
fetched, the service says that there is none, or a *resumed* reference turns out to have expired
(`ResultGoneError`). Of what comes at once there is no reference: it is stored first of all.
"""

from __future__ import annotations

import asyncio
import random
from abc import abstractmethod
from base64 import b64decode
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from enum import Enum, auto
from typing import Any, Final, Generic, NoReturn, TypeVar

import httpx

from photopipe_dagster.core.errors import Billed, ErrorCode, ProviderError
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
from photopipe_dagster.providers.remote import pictures
from photopipe_dagster.providers.remote.api import Api
from photopipe_dagster.providers.remote.downloads import MAX_RESULT_BYTES, host_of
from photopipe_dagster.providers.remote.errors import (
    not_there,
    pending_purchase,
    worth_another_look,
)
from photopipe_dagster.providers.remote.settings import RemoteSettings

S = TypeVar("S", bound=RemoteSettings)
Ended = TypeVar("Ended")


_PICTURES: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


class Progress(Enum):
    """What a look at a job shows that has not ended."""

    RUNNING = auto()
    MISSING = auto()


class RemoteProvider(Generic[S]):
    """One account of a service: its settings, its API and its prices.

    Raises:
        ConfigurationError: Its settings cannot work.
    """

    name: str

    def __init__(self, own: S, context: ProviderContext, api: Api | None = None) -> None:
        own.check()
        self.own = own
        self.context = context
        self.api = api or Api(own, context)
        self._prices = own.prices()

    async def aclose(self) -> None:
        """Close connections."""
        await self.api.aclose()

    def price(self, article: str) -> Decimal:
        """USD for one of an article, now; what is not listed is free."""
        return self._prices.at(self.context.now).get(article, Decimal(0))

    def cutout_price(self) -> Decimal:
        """USD for one."""
        return self.price("cutout")

    def background_price(self, request: BackgroundRequest) -> Decimal:
        """USD for one."""
        return self.price("background")

    def picture_in(self, response: httpx.Response, written: str | None = None) -> bytes:
        """The picture in an answer to a paid request.

        Args:
            written: The picture in base64; ``None``: the answer itself is the picture.

        Raises:
            ProviderError: It is none, and nobody knows whether it was billed.
        """
        try:
            data = response.content if written is None else b64decode(written, validate=True)
        except ValueError:
            data = b""
        if not data.startswith(_PICTURES) or len(data) > MAX_RESULT_BYTES:
            raise self.api.answers.unexpected(response, ["no picture"], paid=True)
        return data

    async def cutout(self, data: bytes, original: Original, model: str, **facts: Any) -> Cutout:
        """The cut-out in what a service delivered, in the displayed size of its original.

        Raises:
            ProviderError: SEGMENTATION_ERROR, billed: it is none.
        """
        service = self.own.service
        made = await asyncio.to_thread(pictures.displayed_cutout, data, original, service)
        picture, (width, height) = made
        came = {"delivered_width": width, "delivered_height": height}
        return Cutout(picture, model=model, metadata=facts | came)

    async def background(self, data: bytes, model: str, **facts: Any) -> Background:
        """The background in what a service delivered.

        Raises:
            ProviderError: BACKGROUND_ERROR, billed: it is none.
        """
        made = await asyncio.to_thread(pictures.background_type, data, self.own.service)
        content_type, (width, height) = made
        came = {"delivered_width": width, "delivered_height": height}
        return Background(data, content_type, model=model, metadata=facts | came)

    def useless(self, wrong: str, code: ErrorCode, billed: Billed = Billed.YES) -> ProviderError:
        """The error that a picture means which can never be used, as an answer to any photo."""
        counted = "It is paid, and unusable" if billed is Billed.YES else "It was not billed"
        if billed is Billed.UNKNOWN:
            counted = "Nobody knows whether it is billed, so its price is counted"
        return ProviderError(
            f"The picture that {self.own.service} delivered {wrong}. {counted}. If this goes on, "
            "choose another model or provider.",
            billed=billed,
            code=code,
            retryable=True,
            details={"service": self.own.service},
        )

    def filtered(
        self, code: ErrorCode, billed: Billed = Billed.YES, **details: Any
    ) -> ProviderError:
        """The error that a filter means which holds this one picture to be unsafe."""
        return ProviderError(
            f"{self.own.service}'s filter holds the picture to be not safe for work. Change the "
            "theme's prompt, or take the photo again.",
            billed=billed,
            code=code,
            details={"service": self.own.service, **details},
        )


class JobProvider(RemoteProvider[S], Generic[S, Ended]):
    """A service that gives a reference to what is ordered, and is asked for it until it has ended.

    Its settings have …_POLL_SECONDS and …_TASK_TIMEOUT_SECONDS.
    """

    late: ErrorCode = ErrorCode.API_ERROR
    """Code of a photo whose job has not ended in time."""

    @abstractmethod
    async def look(self, reference: str) -> Ended | Progress:
        """How far a job is: what it ended as, if it has."""

    async def bought(
        self,
        purchase: Purchase,
        order: Callable[[], Awaitable[str]],
        find: Callable[[datetime], Awaitable[str | None]] | None = None,
    ) -> tuple[Ended, bool]:
        """Order, or take up what an earlier process has ordered, and wait until it has ended.

        Args:
            order: Gives the reference of a new order.
            find: Looks for an order since then whose answer was lost; its reference.

        Returns:
            What it ended as, and whether this process has ordered it.

        Raises:
            StillRunningError: It has not ended in time.
            ResultGoneError: The service does not know what an earlier process has ordered.
        """
        reference, fresh = purchase.reference, False
        if reference is None:
            if purchase.lost_since is None:
                reference, fresh = await order(), True
            elif find is None or (reference := await find(purchase.lost_since)) is None:
                raise ResultGoneError(f"{self.own.service} has no order of the process that died")
            await purchase.submitted(reference)
        async with purchase.released():
            return await self.ended(reference, fresh=fresh), fresh

    async def ended(self, reference: str, *, fresh: bool) -> Ended:
        """What a job ended as, see `bought`."""
        service, seconds = self.own.service, self.own.value("task_timeout_seconds")
        deadline = self.context.clock() + seconds
        wait = fresh  # a job of an earlier process may have ended long ago
        while True:
            if wait:
                every = self.own.value("poll_seconds") * random.uniform(0.75, 1.25)
                await self.context.sleep(every)
            wait = True
            with pending_purchase():
                found = await self.look(reference)
            if found is Progress.MISSING and not fresh:
                raise ResultGoneError(f"{service} knows nothing of what was ordered earlier")
            if not isinstance(found, Progress):
                return found
            if self.context.clock() >= deadline:
                raise StillRunningError(
                    f"{service} was still at work after {seconds:g} s "
                    f"({self.own.variable('task_timeout_seconds')}). It is bought: the next try "
                    "goes on waiting without paying again.",
                    billed=Billed.UNKNOWN,
                    code=self.late,
                    details={"service": service},
                )

    async def fetch(self, url: str) -> bytes | None:
        """A result's bytes, or ``None`` if it is not there (any more).

        Raises:
            StillRunningError: Not now.
        """
        if not self.api.fetchable(url):
            raise StillRunningError(
                f"{self.own.service} has the picture on {host_of(url)}, which is not its own, "
                "or not https: nothing was fetched. It is bought.",
                billed=Billed.UNKNOWN,
                retryable=False,
                details={"service": self.own.service},
            )
        with pending_purchase():
            return await self.api.download(url)

    async def fetched(self, url: str, what: str, *, fresh: bool) -> bytes:
        """A result's bytes, see `fetch`.

        Raises:
            ResultGoneError: An earlier process has ordered it, and it is not there any more.
        """
        data = await self.fetch(url)
        if data is None:
            self.not_there(what, fresh=fresh)
        return data

    def not_there(self, what: str, *, fresh: bool) -> NoReturn:
        """Raise what it means that a result is not there."""
        raise not_there(self.own.service, what, fresh=fresh)

    async def cutout_of(
        self, data: bytes, original: Original, model: str, *, fresh: bool, **facts: Any
    ) -> Cutout:
        """As `cutout`; what is no whole picture is fetched once more."""
        with worth_another_look(fresh=fresh):
            return await self.cutout(data, original, model, resumed=not fresh, **facts)

    async def background_of(
        self, data: bytes, model: str, *, fresh: bool, **facts: Any
    ) -> Background:
        """As `background`; what is no whole picture is fetched once more."""
        with worth_another_look(fresh=fresh):
            return await self.background(data, model, resumed=not fresh, **facts)
