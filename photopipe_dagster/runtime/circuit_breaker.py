"""Calling services through their breakers: the pipeline's side of the ledger's breakers.

A call to a service that is down fails at once, and the service is not asked. A failure that means
"the service is down" blames it (`JobError.blamed_service`), and is counted when the job fails with
it; a success is reported at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from enum import Enum, auto
from typing import Final

from photopipe_dagster.core.errors import (
    REFUSALS,
    ErrorCode,
    JobError,
    ProviderError,
    ServiceDownError,
    StorageError,
    TargetError,
)
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger.breakers import Admission, Breaker, Breakers
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.runtime.providers import (
    background_plugin,
    background_plugins,
    cutout_plugin,
    cutout_plugins,
)
from photopipe_dagster.runtime.scenes import SCENE
from photopipe_dagster.targets.registry import chosen_target

_FOR_ALL: Final = REFUSALS | {408}
"""Statuses that the next photo would get, too."""

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


class CircuitBreaker:
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
        self._is_target = code is ErrorCode.SHOPIFY_ERROR
        kind = "target" if self._is_target else "provider"
        self._note_again = 0.0
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
        verdict, reason, refused = BreakerOutcome.UNDECIDED, "", False
        try:
            yield
            verdict = BreakerOutcome.UP
        except JobError as error:
            verdict, reason = self._blame(error), error.message
            refused = error.is_refusal
            raise
        finally:
            if not (admission.healthy and verdict is BreakerOutcome.UP):
                report = asyncio.to_thread(self._report, admission, verdict, reason, refused)
                await asyncio.shield(report)
            if self._is_target and verdict is BreakerOutcome.UP and not reason:
                await self._note_success()

    async def _note_success(self) -> None:
        now = time.monotonic()
        if now >= self._note_again:
            self._note_again = now + 60
            await asyncio.to_thread(self._breakers.note_success, self._service)

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Around a question: its failure counts, its success does not.

        A shop can know its products and take no pictures. So the probe is left to the call that
        shows whether the service works; but where the question fails already, it is put off.

        Raises:
            ServiceDownError: The service is down, and it was not asked.
        """
        await asyncio.to_thread(self.has_worked_lately)
        try:
            yield
        except JobError as error:
            if self._blame(error) is BreakerOutcome.DOWN:
                put_off = asyncio.to_thread(
                    self._breakers.probe_failed,
                    self._service,
                    error.message,
                    refused=error.is_refusal,
                )
                await asyncio.shield(put_off)
            raise

    def has_worked_lately(self) -> bool:
        """Whether the last call ended well, and not long ago.

        Raises:
            ServiceDownError: The service is down, and its next probe is not due.
        """
        breaker, now = self._breakers.get(self._service), self._breakers.now()
        if breaker is None:
            return False
        if breaker.is_open and not breaker.is_due(now):
            raise self._down(breaker)
        return breaker.has_worked_lately(now)

    def _blame(self, error: JobError) -> BreakerOutcome:
        """Say in an error whose it is, and whether the service is down."""
        if not isinstance(error, StorageError):  # of what came, which is ours
            error.details.setdefault(*self._plugin)
        outcome = judge(error)
        if outcome is BreakerOutcome.DOWN:
            error.blamed_service = self._service
            if self._is_target:
                error.refuses_all = error.is_refusal
        return outcome

    def _down(self, breaker: Breaker) -> ServiceDownError:
        error = ServiceDownError(
            f"{self._service} is {breaker.describe()}", service=self._service, code=self._code
        )
        error.details.setdefault(*self._plugin)
        return error

    def _report(
        self, admission: Admission, verdict: BreakerOutcome, reason: str, refused: bool
    ) -> None:
        match verdict:
            case BreakerOutcome.UP:
                self._breakers.succeeded(self._service, admission)
            case BreakerOutcome.DOWN if admission.probe:
                self._breakers.probe_failed(self._service, reason, refused=refused)
            case BreakerOutcome.UNDECIDED if admission.probe:
                self._breakers.probe_undecided(self._service)


def services_by_stage(settings: Settings) -> Mapping[Stage, str]:
    """Names, among the breakers, of the services that stages call; nothing for what is local.

    A provider's two jobs are two services: it can fail at one of them alone.
    """
    makers = {Stage.MASK: cutout_plugin(settings), Stage.BACKGROUND: background_plugin(settings)}
    services = {
        stage: provider_service(maker.name, stage)
        for stage, maker in makers.items()
        if maker.capabilities.remote
    }
    target = chosen_target(settings)
    if target is not None:
        services[Stage.SHOPIFY_MEDIA] = target.name
    return services


def provider_service(provider: str, stage: Stage) -> str:
    return f"{provider}.{_JOBS[stage]}"


def calling_provider(
    breakers: Breakers, provider: str, stage: Stage
) -> AbstractAsyncContextManager[None]:
    """Around all that a stage asks of a provider for one photo, and taking what it delivers.

    Raises:
        ServiceDownError: The provider is a service, is down, and was not asked.
    """
    if provider == SCENE or not PROVIDERS.get(provider).capabilities.remote:
        return nullcontext()
    return CircuitBreaker(breakers, provider_service(provider, stage), ErrorCode.API_ERROR).call()


def stages_down(settings: Settings, breakers: Breakers) -> Mapping[Stage, Breaker]:
    """Stages that cannot be done now, with the open breakers of their services."""
    down = {breaker.name: breaker for breaker in breakers.down()}
    routes = {Stage.MASK: cutout_plugins(settings), Stage.BACKGROUND: background_plugins(settings)}
    # Where one of its providers works, the stage goes on.
    works = {
        stage
        for stage, route in routes.items()
        if any(provider_service(maker.name, stage) not in down for maker in route)
    }
    return {
        stage: down[service]
        for stage, service in services_by_stage(settings).items()
        if service in down and stage not in works
    }
