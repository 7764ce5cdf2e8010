"""Cut-outs and backgrounds by models that run at Replicate. An output is there for an hour."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final, NoReturn

from photopipe_dagster.core.errors import Billed, ErrorCode, ProviderError
from photopipe_dagster.providers.base import (
    Background,
    BackgroundRequest,
    Cutout,
    Original,
    ProviderContext,
    Purchase,
)
from photopipe_dagster.providers.remote.provider import JobProvider, Progress
from photopipe_dagster.providers.remote.ratios import nearest_ratio
from photopipe_dagster.providers.replicate.client import Prediction, ReplicateClient
from photopipe_dagster.providers.replicate.models import (
    RATIOS,
    Model,
    background_model,
    cutout_model,
)
from photopipe_dagster.providers.replicate.settings import ReplicateSettings

_SEEDS: Final = 2**31
_AFTER_US: Final = 60.0
"""Replicate stops what runs so many seconds longer than one try waits: it bounds the money."""

_ENDED: Final = ("succeeded", "failed", "canceled", "aborted")
_FILTERED: Final = ("NSFW", "E005", "flagged as sensitive")
_INTERRUPTED: Final = ("code: PA", "Director:")


class Provider(JobProvider[ReplicateSettings, Prediction]):
    """One account at Replicate, and the models of the settings."""

    name = "replicate"

    def __init__(self, context: ProviderContext) -> None:
        own = context.settings.of(ReplicateSettings)
        self._client = ReplicateClient(own, context)
        super().__init__(own, context, self._client)
        self._cutouts = cutout_model(own.replicate_cutout_model)
        self._backgrounds = background_model(own.replicate_background_model)

    def cutout_parameters(self) -> Mapping[str, str]:
        """The model with its version, and what it is told."""
        return _parameters(self._cutouts)

    async def remove_background(self, original: Original, purchase: Purchase) -> Cutout:
        """Have the product cut out."""
        model, code = self._cutouts, ErrorCode.SEGMENTATION_ERROR

        async def order() -> str:
            url = await self._client.upload(original.data, original.content_type)
            return await self._order(model, {"image": url}, code)

        async def find(began: datetime) -> str | None:
            sha256 = hashlib.sha256(original.data).hexdigest()
            return await self._client.look_for({"image": "", **model.options}, began, sha256)

        ended, fresh = await self.bought(purchase, order, find)
        url = self._output(ended, code, fresh=fresh, by_time=model.version is not None)
        data = await self.fetched(url, "cut-out", fresh=fresh)
        return await self.cutout_of(data, original, model.label, fresh=fresh)

    def background_parameters(self, request: BackgroundRequest) -> Mapping[str, str]:
        """The model, the prompt and the shape; size and seed are part of every recipe."""
        ratio = nearest_ratio(request.width, request.height, RATIOS)
        return _parameters(self._backgrounds) | {"prompt": request.theme.prompt, "ratio": ratio}

    async def generate_background(
        self, request: BackgroundRequest, purchase: Purchase
    ) -> Background:
        """Have a background made: from words alone, the model does not see the product."""
        model, code = self._backgrounds, ErrorCode.BACKGROUND_ERROR
        given = {
            "prompt": request.theme.prompt,
            "aspect_ratio": nearest_ratio(request.width, request.height, RATIOS),
            "seed": request.seed % _SEEDS,
        }
        find = partial(self._client.look_for, {**given, **model.options})
        order = partial(self._order, model, given, code)
        ended, fresh = await self.bought(purchase, order, find)
        url = self._output(ended, code, fresh=fresh, by_time=False)
        data = await self.fetched(url, "background", fresh=fresh)
        return await self.background_of(data, model.label, fresh=fresh)

    async def look(self, reference: str) -> Prediction | Progress:
        """How far a prediction is. A word that is not known is taken for one that is under way."""
        found = await self._client.get(reference)
        if found is None:
            return Progress.MISSING
        return found if found.status in _ENDED else Progress.RUNNING

    async def _order(self, model: Model, given: Mapping[str, Any], code: ErrorCode) -> str:
        cancel_after = self.own.replicate_task_timeout_seconds + _AFTER_US
        whole = {**given, **model.options}
        return await self._client.order(model, whole, code=code, cancel_after=cancel_after)

    def _output(self, ended: Prediction, code: ErrorCode, *, fresh: bool, by_time: bool) -> str:
        """Where the picture of a prediction is.

        Args:
            fresh: Whether this process has ordered it.
            by_time: Whether it is billed by seconds, so that a failure is, too.
        """
        if ended.status != "succeeded":
            self._raise_failure(ended, code, by_time=by_time)
        urls = [ended.output] if isinstance(ended.output, str) else (ended.output or [])
        if not urls and ended.data_removed:
            self.not_there("output", fresh=fresh)
        if not urls:
            raise self.useless("is missing: the model held it to be unsafe", code)
        return urls[0]

    def _raise_failure(self, ended: Prediction, code: ErrorCode, *, by_time: bool) -> NoReturn:
        """What a prediction without a result means for the photo and for the money.

        Seconds that it ran are billed; a picture that was not made most likely is not, and nobody
        says so: it is counted. One that never ran is not billed.
        """
        said = ended.error or ""
        billed = Billed.YES if by_time or ended.status == "canceled" else Billed.UNKNOWN
        if ended.status == "aborted":
            billed = Billed.NO
        if any(word in said for word in _FILTERED):
            raise self.filtered(code, billed, prediction=ended.id, ended=ended.status)
        again = ended.status != "failed" or any(word in said for word in _INTERRUPTED)
        then = "Look at the photo and the models of REPLICATE_, then `photopipe retry JOB`."
        raise ProviderError(
            f"Replicate ended it as {ended.status}. {'It is tried again.' if again else then}",
            billed=billed,
            code=code,
            retryable=again,
            details={"service": "Replicate", "prediction": ended.id, "ended": ended.status},
        )


def _parameters(model: Model) -> dict[str, str]:
    options = {name: str(value) for name, value in model.options.items()}
    return {"model": model.name, "version": model.version or "", **options}
