"""The product of a photo's SKU: asked of the shop, remembered in the ledger.

A photo that is to be published asks before anything is paid for it: one whose SKU no product has,
or whose shop refuses, would be cut out and given a background in vain. The stage that publishes
finds the answer remembered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import asdict
from datetime import timedelta
from typing import Final

from photopipe_dagster.core.errors import NetworkError
from photopipe_dagster.ledger.catalogue import KnownProduct
from photopipe_dagster.runtime.services import Services

PRODUCT_TRUSTED_FOR: Final = timedelta(hours=1)
"""How long the SKU map is believed before paying: a SKU can move to another product at any time."""

PATIENCE_SECONDS: Final = 60.0
"""How long a photo waits for an answer before it fails, to be tried again."""

Released = Callable[[], AbstractAsyncContextManager[None]]
"""Makes what is put around a long wait, so that a slot is free for others meanwhile."""


class ProductLookup:
    """The product of one photo, for all stages that want to know it.

    Args:
        sku: The photo's.
        released: Put around the wait for the shop, and for others who ask it for the same.
    """

    def __init__(self, services: Services, sku: str, *, released: Released = nullcontext) -> None:
        self._services = services
        self._sku = sku
        self._released = released
        self._began = services.ledger.database.now()
        self._known: KnownProduct | None = None

    async def current(self) -> KnownProduct | None:
        """What is known of the product, however old; the shop is not asked."""
        return self._known or await self._remembered()

    async def trusted(self) -> KnownProduct | None:
        """What the shop has said of it lately, for this photo or for another; it is not asked."""
        known = self._known
        if not self._is_trusted(known):
            known = await self._remembered()
        return known if self._is_trusted(known) else None

    async def fresh(self) -> KnownProduct:
        """What the shop says of it now, or has said since this photo was picked up.

        What it said earlier is not enough to publish: the SKU may be on another product since.

        Raises:
            ProductUnknownError: No product has the SKU, or several have.
            JobError: The shop has not answered.
        """
        known = await self.current()
        if known is not None and known.synced_at >= self._began:
            return known
        return await self._asked()

    async def again(self) -> KnownProduct:
        """What the shop says of it now; what was remembered is forgotten.

        Raises:
            ProductUnknownError, JobError: See `fresh`.
        """
        await asyncio.to_thread(self._services.ledger.catalogue.forget_product, self._sku)
        return await self._asked()

    async def before_paying(self) -> None:
        """Know the product of a photo that is to be published; the shop is asked if need be.

        Photos of one product ask one after another, and once if there is an answer.

        Raises:
            ProductUnknownError: No product has the SKU, or several have.
            JobError: The shop refuses, or has not answered.
        """
        if self._services.target is None or await self.trusted() is not None:
            return
        async with self._released():
            await self._in_turn()

    async def _in_turn(self) -> None:
        async with self._services.lookups[self._sku]:
            self._known = await self.trusted()
            if self._known is None:
                async with self._services.asking_target(), _in_time(self._sku):
                    await self._asked(may_be_new=True)

    async def _asked(self, *, may_be_new: bool = False) -> KnownProduct:
        """Ask the shop, and remember what it says."""
        found = await self._services.require_target().find_product(self._sku, may_be_new=may_be_new)
        remember, said = self._services.ledger.catalogue.remember_product, asdict(found)
        self._known = await asyncio.to_thread(remember, self._sku, said.pop("id"), **said)
        return self._known

    async def _remembered(self) -> KnownProduct | None:
        return await asyncio.to_thread(self._services.ledger.catalogue.product, self._sku)

    def _is_trusted(self, known: KnownProduct | None) -> bool:
        now = self._services.ledger.database.now()
        return known is not None and now - known.synced_at <= PRODUCT_TRUSTED_FOR


@asynccontextmanager
async def _in_time(sku: str) -> AsyncIterator[None]:
    """Around a question to the shop.

    Raises:
        NetworkError: It has not been answered within `PATIENCE_SECONDS`.
    """
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            yield
    except TimeoutError:
        raise NetworkError(
            f"The shop did not say within {PATIENCE_SECONDS:.0f} s which product has the SKU "
            f"{sku!r}. Check that it is up and reachable."
        ) from None
