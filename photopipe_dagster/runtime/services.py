"""The composition root: builds what a run works with from the settings, and closes it again."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass, field
from functools import lru_cache, partial

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.providers.base import BackgroundProvider, CutoutProvider
from photopipe_dagster.quality.calibration import Calibration
from photopipe_dagster.runtime.canary import Canary
from photopipe_dagster.runtime.circuit_breaker import CircuitBreaker
from photopipe_dagster.runtime.photo_fetcher import PhotoFetcher
from photopipe_dagster.runtime.picture_cache import PictureCache
from photopipe_dagster.runtime.providers import Providers
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster.targets.base import PictureLimits, Target, TargetContext
from photopipe_dagster.targets.registry import (
    chosen_target,
    no_target,
    picture_limits,
    required_target,
)
from photopipe_dagster.themes.model import Theme
from photopipe_dagster.themes.registry import ThemeRegistry

FetchPhoto = Callable[[str], Awaitable[bytes]]
"""Fetches the photo behind a reference; raises `JobError`."""


@dataclass(frozen=True)
class Services:
    """What the stages of a run share.

    Args:
        cutout_route: Who cuts out, in the order in which they are asked.
        background_route: Says who makes them, in the order in which they are asked.
        target: Where pictures are published; ``None`` where no shop is configured.
        decode_slots: For decoded pictures: bounds the memory of a run, whatever its batch.
        paid_calls: For paid calls without an answer: bounds what is lost if the process is killed.
        cache: Pictures that photos keep from one stage to the next.
        target_breaker: Lets a photo through to the shop while the shop is up.
        canary: Lets photos that are to be published through to what is paid for.
        calibration: Limits that the shop has set from its own decisions.
        lookups: By SKU, held while the shop is asked for its product.
    """

    settings: Settings
    ledger: Ledger
    store: ObjectStore
    cutout_route: Sequence[CutoutProvider]
    background_route: Callable[[Theme], Sequence[BackgroundProvider]]
    target: Target | None
    themes: ThemeRegistry
    fetch_photo: FetchPhoto
    decode_slots: asyncio.Semaphore = field(repr=False)
    paid_calls: asyncio.Semaphore = field(repr=False)
    cache: PictureCache = field(repr=False)
    target_breaker: CircuitBreaker | None = field(default=None, repr=False)
    canary: Canary | None = field(default=None, repr=False)
    calibration: Calibration = field(default_factory=Calibration)
    lookups: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock), repr=False
    )

    @property
    def limits(self) -> PictureLimits:
        """What the shop takes of a picture."""
        return picture_limits(self.settings)

    def require_target(self) -> Target:
        """Where pictures are published.

        Raises:
            ConfigurationError: No shop is configured.
        """
        if self.target is None:
            raise no_target()
        return self.target

    def calling_target(self) -> AbstractAsyncContextManager[None]:
        """Around all that a stage asks of the shop for one photo.

        Raises:
            ServiceDownError: The shop is down, and was not asked.
        """
        return nullcontext() if self.target_breaker is None else self.target_breaker.call()

    def asking_target(self) -> AbstractAsyncContextManager[None]:
        """Around a question to the shop, which shows nothing of whether it takes pictures.

        Raises:
            ServiceDownError: The shop is down, and was not asked.
        """
        return nullcontext() if self.target_breaker is None else self.target_breaker.asking()


@asynccontextmanager
async def open_target(settings: Settings) -> AsyncIterator[Target]:
    """The shop that the settings choose, for what is not done for a run.

    Raises:
        ConfigurationError: None is configured, or it cannot work with these settings.
    """
    target = required_target(settings).open(TargetContext(settings))
    try:
        yield target
    finally:
        await target.aclose()


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Build the services for one event loop, and close their connections at the end."""
    async with AsyncExitStack() as stack:
        providers = Providers(settings)
        stack.push_async_callback(providers.aclose)
        photos = await stack.enter_async_context(PhotoFetcher(settings))
        ledger = shared_ledger(settings)
        target = breaker = canary = None
        if (plugin := chosen_target(settings)) is not None:
            target = await stack.enter_async_context(open_target(settings))
            breaker = CircuitBreaker(ledger.breakers, plugin.name, ErrorCode.SHOPIFY_ERROR)
            probe = partial(plugin.probe, TargetContext(settings))
            canary = Canary(breaker, probe, f"canary:{plugin.name}")
        yield Services(
            settings=settings,
            ledger=ledger,
            store=object_store(settings),
            cutout_route=providers.cutout_route,
            background_route=providers.background_route,
            target=target,
            themes=ledger.themes.registry(settings),
            fetch_photo=photos.fetch,
            decode_slots=asyncio.Semaphore(settings.pictures_in_memory),
            paid_calls=asyncio.Semaphore(settings.paid_calls_in_flight),
            cache=PictureCache(settings.pictures_kept_mb * 1_000_000),
            target_breaker=breaker,
            canary=canary,
            calibration=Calibration.of_record(ledger.calibrations.current()),
        )


@lru_cache(maxsize=4)
def shared_ledger(settings: Settings) -> Ledger:
    """The ledger of this process: sensors look into it at every tick."""
    return Ledger.open(settings)
