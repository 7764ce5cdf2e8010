"""Cut-outs and backgrounds by models that run at Replicate.

A prediction is ordered, its id is kept before it is looked at for the first time, and from then on
trouble leaves the purchase open, so that the next try goes on with it. Its output is there for an
hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NoReturn

import httpx

from photopipe_dagster.core.errors import (
    Billed,
    ErrorCode,
    NetworkError,
    PhotoRejectedError,
    ProviderError,
    RateLimitError,
)
from photopipe_dagster.imaging.decode import inspect
from photopipe_dagster.net.client import Retry
from photopipe_dagster.net.rate_limit import TokenBucket, shared_bucket
from photopipe_dagster.net.safe_download import Downloader, DownloadPolicy
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
from photopipe_dagster.providers.replicate.client import SERVICE, Prediction, ReplicateClient
from photopipe_dagster.providers.replicate.models import (
    Model,
    background_model,
    cutout_model,
    nearest_ratio,
)
from photopipe_dagster.providers.replicate.settings import ReplicateSettings

DELIVERY: Final = "replicate.delivery"
"""Outputs are there, or at a host below it."""

MAX_RESULT_BYTES: Final = 100 * 1024 * 1024
MAX_PIXELS: Final = 100_000_000

_SEEDS: Final = 2**31
_AFTER_US: Final = 60.0
"""Replicate stops what runs so many seconds longer than one try waits: it bounds the money."""

_ENDED: Final = ("succeeded", "failed", "canceled", "aborted")
_FILTERED: Final = ("NSFW", "E005", "flagged as sensitive")
_INTERRUPTED: Final = ("code: PA", "Director:")


class ReplicateProvider:
    """One account at Replicate, and the models of the settings."""

    name = "replicate"

    def __init__(self, context: ProviderContext) -> None:
        own = context.settings.of(ReplicateSettings)
        share = own.replicate_orders_per_minute / context.settings.worker_processes
        limiter = (
            shared_bucket(f"replicate {own.replicate_api_url}", share)
            if context.in_real_time
            else TokenBucket.per_minute(share, clock=context.clock, sleep=context.sleep)
        )
        self._own = own
        self._context = context
        self._prices = own.prices()
        self._cutouts = cutout_model(own.replicate_cutout_model)
        self._backgrounds = background_model(own.replicate_background_model)
        self._client = ReplicateClient(
            own.replicate_api_url,
            own.token(),
            limiter=limiter,
            now=lambda: context.now,
            transport=context.transport,
            sleep=context.sleep,
        )
        api = httpx.URL(own.replicate_api_url)
        # A simulator serves its outputs by itself, from wherever it is.
        self._own_host = None if (api.host or "").endswith(".replicate.com") else api.host
        policy = DownloadPolicy(
            max_bytes=MAX_RESULT_BYTES,
            allowed_hosts=frozenset({self._own_host} if self._own_host else ()),
        )
        self._files = Downloader(
            policy, transport=context.transport, retry=Retry(sleep=context.sleep)
        )

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()
        await self._files.aclose()

    # --- cut-outs ----------------------------------------------------------------------------

    def cutout_parameters(self) -> Mapping[str, str]:
        """The model with its version, and what it is told."""
        return _parameters(self._cutouts)

    def cutout_price(self) -> Decimal:
        """USD for one."""
        return self._prices.at(self._context.now)["cutout"]

    async def remove_background(self, original: Original, purchase: Purchase) -> Cutout:
        """Have the product cut out."""
        model, code = self._cutouts, ErrorCode.SEGMENTATION_ERROR
        number, resumed = purchase.reference, True
        if number is None:
            url = await self._client.upload(original.data, original.content_type)
            given = {"image": url, **model.options}
            number, resumed = await self._order(model, given, purchase, code), False
        async with purchase.released():
            ended = await self._ended(number, resumed)
        png = await self._result(ended, resumed, code, by_time=model.version is not None)
        return Cutout(png, model=model.label)

    # --- backgrounds -------------------------------------------------------------------------

    def background_parameters(self, request: BackgroundRequest) -> Mapping[str, str]:
        """The model, the prompt and the shape; size and seed are part of every recipe."""
        ratio = nearest_ratio(request.width, request.height)
        return _parameters(self._backgrounds) | {"prompt": request.theme.prompt, "ratio": ratio}

    def background_price(self, request: BackgroundRequest) -> Decimal:
        """USD for one, of any shape."""
        return self._prices.at(self._context.now)["background"]

    async def generate_background(
        self, request: BackgroundRequest, purchase: Purchase
    ) -> Background:
        """Have a background made: from words alone, the model does not see the product."""
        model, code = self._backgrounds, ErrorCode.BACKGROUND_ERROR
        number, resumed = purchase.reference, True
        if number is None:
            given = {
                "prompt": request.theme.prompt,
                "aspect_ratio": nearest_ratio(request.width, request.height),
                "seed": request.seed % _SEEDS,
                **model.options,
            }
            number, resumed = await self._order(model, given, purchase, code), False
        async with purchase.released():
            ended = await self._ended(number, resumed)
        data = await self._result(ended, resumed, code, by_time=False)
        try:
            content_type = inspect(data, max_pixels=MAX_PIXELS).content_type
        except PhotoRejectedError as error:
            raise _useless(f"cannot be read ({error.message.rstrip('.')})", code) from error
        return Background(data, content_type, model=model.label)

    # --- what both do --------------------------------------------------------------------------

    async def _order(
        self, model: Model, given: Mapping[str, Any], purchase: Purchase, code: ErrorCode
    ) -> str:
        cancel_after = self._own.replicate_task_timeout_seconds + _AFTER_US
        ordered = await self._client.order(model, given, code=code, cancel_after=cancel_after)
        await purchase.submitted(ordered.id)
        return ordered.id

    async def _result(
        self, ended: Prediction, resumed: bool, code: ErrorCode, *, by_time: bool
    ) -> bytes:
        """The picture of a prediction that has ended.

        Args:
            resumed: Whether an earlier process ordered it.
            by_time: Whether it is billed by seconds, so that a failure is, too.
        """
        if ended.status != "succeeded":
            _raise_failure(ended, code, by_time=by_time)
        urls = [ended.output] if isinstance(ended.output, str) else (ended.output or [])
        if not urls and ended.data_removed:
            _gone_or_later(resumed, "The output is deleted already.")
        if not urls:
            raise _useless("is missing: the model held it to be unsafe", code)
        return await self._fetched(urls[0], resumed)

    async def _ended(self, prediction_id: str, resumed: bool) -> Prediction:
        begin, own = self._context.clock(), self._own
        while self._context.clock() - begin < own.replicate_task_timeout_seconds:
            found = await self._client.get(prediction_id)
            if found is None:
                _gone_or_later(resumed, "There is no such prediction.")
            # A word that is not known yet is taken for one that is under way.
            if found.status in _ENDED:
                return found
            await self._context.sleep(own.replicate_poll_seconds)
        raise StillRunningError(
            f"{SERVICE} is still at work after {own.replicate_task_timeout_seconds:g} s "
            "(REPLICATE_TASK_TIMEOUT_SECONDS). The next try goes on, without paying.",
            billed=Billed.UNKNOWN,
            details={"service": SERVICE},
        )

    async def _fetched(self, url: str, resumed: bool) -> bytes:
        """The bytes of an output. Fetched without the token, which is none of that host's business.

        Raises:
            StillRunningError: Not now.
            ResultGoneError: Not any more.
        """
        host = httpx.URL(url).host
        if host not in (DELIVERY, self._own_host) and not host.endswith(f".{DELIVERY}"):
            raise StillRunningError(
                f"{SERVICE} has the picture at a host that is not its own, {host}: nothing was "
                "fetched.",
                billed=Billed.UNKNOWN,
                retryable=False,
                details={"service": SERVICE},
            )
        try:
            return await self._files.fetch(url)
        except PhotoRejectedError as error:
            _gone_or_later(resumed, error.message, error.details)
        except (NetworkError, RateLimitError) as error:
            raise StillRunningError(
                f"{error.message} It is bought: the next try fetches it without paying again.",
                billed=Billed.UNKNOWN,
                details=error.details,
                code=error.code,
            ) from error


def _parameters(model: Model) -> dict[str, str]:
    options = {name: str(value) for name, value in model.options.items()}
    return {"model": model.name, "version": model.version or "", **options}


def _gone_or_later(resumed: bool, says: str, details: Mapping[str, Any] | None = None) -> NoReturn:
    """A result that cannot be fetched is gone, if it is not this process's own fault."""
    if resumed:
        raise ResultGoneError
    raise StillRunningError(
        f"{SERVICE} does not give what is bought. {says} The next try asks again, without paying.",
        billed=Billed.UNKNOWN,
        details={"service": SERVICE, **(details or {})},
    )


def _raise_failure(ended: Prediction, code: ErrorCode, *, by_time: bool) -> NoReturn:
    """What a prediction without a result means for the photo and for the money.

    Seconds that it ran are billed; a picture that was not made most likely is not, and nobody
    says so: it is counted. One that never ran is not billed.
    """
    said = ended.error or ""
    filtered = any(word in said for word in _FILTERED)
    interrupted = any(word in said for word in _INTERRUPTED)
    billed = Billed.YES if by_time or ended.status == "canceled" else Billed.UNKNOWN
    if ended.status == "aborted":
        billed = Billed.NO
    why = "held the picture to be unsafe" if filtered else f"ended it as {ended.status}"
    raise ProviderError(
        f"{SERVICE} {why}. "
        + (
            "Change the theme's prompt or take the photo again."
            if filtered
            else "It is tried again."
            if interrupted or ended.status != "failed"
            else "Look at the photo and the models of REPLICATE_, then `photopipe retry JOB`."
        ),
        billed=billed,
        code=code,
        retryable=interrupted or ended.status != "failed",
        details={"service": SERVICE, "prediction": ended.id, "ended": ended.status},
    )


def _useless(wrong: str, code: ErrorCode) -> ProviderError:
    return ProviderError(
        f"The picture that {SERVICE} delivered {wrong}. It is paid, and unusable. If this goes "
        "on, choose another model or provider.",
        billed=Billed.YES,
        code=code,
        retryable=True,
        details={"service": SERVICE},
    )
