"""Calling services through their breakers: the pipeline's side of the ledger's breakers.

A call to a service that is down fails at once, and the service is not asked. A failure that means
"the service is down" blames it (`JobError.blamed_service`), and is counted when the job fails with
it; a success is reported at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from enum import Enum, auto
from typing import Final

from photopipe_dagster.core.errors import (
    ErrorCode,
    JobError,
    ProviderError,
    ServiceDownError,
    TargetError,
)
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger.breakers import Admission, Breaker, Breakers
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.runtime.providers import background_plugin, cutout_plugin
from photopipe_dagster.targets.registry import chosen_target

_FOR_ALL: Final = frozenset({401, 402, 403, 404, 408, 423})
"""Statuses that the next photo would get, too: the key, the account or the address is refused."""

_JOBS: Final = {Stage.MASK: "cutouts", Stage.BACKGROUND: "backgrounds"}
"""How breakers call the two jobs of a provider."""


class BreakerOutcome(Enum):
    """What the end of a call says of the service."""

    UP = auto()
    DOWN = auto()
    UNDECIDED = auto()


def judge(error: JobError) -> BreakerOutcome:
    """What a failed call says of the service, after all retries inside the stage.

    It is down if the error says so, if nobody answered, if it failed by its own account (5xx), if
    it refuses the key, the account or the address, or if its answer could not be understood. Being
    asked to slow down, or to wait longer, says nothing. Any other refusal for good is about the one
    photo, and shows that the service works.
    """
    status = error.details.get("status")
    if error.service_down or error.code is ErrorCode.NETWORK_ERROR or "unexpected" in error.details:
        return BreakerOutcome.DOWN
    if isinstance(status, int) and (status >= 500 or status in _FOR_ALL):
        return BreakerOutcome.DOWN
    if isinstance(error, ProviderError | TargetError) and not error.retryable:
        return BreakerOutcome.UP
    return BreakerOutcome.UNDECIDED


class Guard:
    """Lets calls to one service through while it is up.

    Args:
        breakers: The ledger's.
        service: Its name among them, which begins with that of its plug-in.
        code: What failing without a call is called.
    """

    def __init__(self, breakers: Breakers, service: str, code: ErrorCode) -> None:
        self._breakers = breakers
        self._service = service
        self._code = code
        kind = "target" if code is ErrorCode.SHOPIFY_ERROR else "provider"
        # Failures say whose they are, so that people are shown that plug-in's advice.
        self._plugin = (kind, service.partition(".")[0])

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Around one call with all its retries.

        Raises:
            ServiceDownError: The service is down, and it was not asked.
        """
        admission = await asyncio.to_thread(self._breakers.admit, self._service)
        if isinstance(admission, Breaker):
            raise self._down(admission)
        verdict, reason = BreakerOutcome.UNDECIDED, ""
        try:
            yield
            verdict = BreakerOutcome.UP
        except JobError as error:
            verdict, reason = judge(error), error.message
            error.details.setdefault(*self._plugin)
            if verdict is BreakerOutcome.DOWN:
                error.blamed_service = self._service
            raise
        finally:
            if not (admission.healthy and verdict is BreakerOutcome.UP):
                report = asyncio.to_thread(self._report, admission, verdict, reason)
                await asyncio.shield(report)

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Around a question that can go unanswered: what comes of it counts for nothing.

        Its success would make other failures forgotten: a shop can know its products and take no
        pictures. And a probe is left to the call that shows whether the service works.

        Raises:
            ServiceDownError: The service is down, and it was not asked.
        """
        breaker = await asyncio.to_thread(self._breakers.get, self._service)
        if breaker is not None and breaker.is_open:
            raise self._down(breaker)
        try:
            yield
        except JobError as error:
            error.details.setdefault(*self._plugin)
            raise

    def _down(self, breaker: Breaker) -> ServiceDownError:
        error = ServiceDownError(
            f"{self._service} is {breaker.describe()}", service=self._service, code=self._code
        )
        error.details.setdefault(*self._plugin)
        return error

    def _report(self, admission: Admission, verdict: BreakerOutcome, reason: str) -> None:
        match verdict:
            case BreakerOutcome.UP:
                self._breakers.succeeded(self._service, admission)
            case BreakerOutcome.DOWN if admission.probe:
                self._breakers.probe_failed(self._service, reason)
            case BreakerOutcome.UNDECIDED if admission.probe:
                self._breakers.probe_undecided(self._service)


def services_by_stage(settings: Settings) -> Mapping[Stage, str]:
    """Names, among the breakers, of the services that stages call; nothing for what is local.

    A provider's two jobs are two services: it can fail at one of them alone.
    """
    makers = {Stage.MASK: cutout_plugin(settings), Stage.BACKGROUND: background_plugin(settings)}
    services = {
        stage: _provider_service(maker.name, stage)
        for stage, maker in makers.items()
        if maker.capabilities.remote
    }
    target = chosen_target(settings)
    if target is not None:
        services[Stage.SHOPIFY_MEDIA] = target.name
    return services


def _provider_service(provider: str, stage: Stage) -> str:
    return f"{provider}.{_JOBS[stage]}"


def calling_provider(
    breakers: Breakers, provider: str, stage: Stage
) -> AbstractAsyncContextManager[None]:
    """Around all that a stage asks of a provider for one photo.

    Raises:
        ServiceDownError: The provider is a service, is down, and was not asked.
    """
    if not PROVIDERS.get(provider).capabilities.remote:
        return nullcontext()
    return Guard(breakers, _provider_service(provider, stage), ErrorCode.API_ERROR).call()


def stages_down(settings: Settings, breakers: Breakers) -> Mapping[Stage, Breaker]:
    """Stages that cannot be done now, with the open breakers of their services."""
    down = {breaker.name: breaker for breaker in breakers.down()}
    return {
        stage: down[service]
        for stage, service in services_by_stage(settings).items()
        if service in down
    }
