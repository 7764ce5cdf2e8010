"""The product of a photo's SKU: asked of the shop, remembered in the ledger.

A photo that is to be published asks before anything is paid for it: one whose SKU no product has
would be cut out and given a background in vain. The stage that publishes finds the answer
remembered. If the shop cannot answer, the photo goes on, and that stage asks again: a shop that is
down keeps no cut-outs from being made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import asdict
from datetime import timedelta
from typing import Final

from photopipe_dagster.core.errors import PhotopipeError, ProductUnknownError
from photopipe_dagster.ledger.catalogue import KnownProduct
from photopipe_dagster.runtime.services import Services

PRODUCT_TRUSTED_FOR: Final = timedelta(hours=1)
"""How long the SKU map is believed: a SKU can move to another product at any time."""

PATIENCE_SECONDS: Final = 60.0
"""How long a photo waits for an answer before it goes on without one."""

Released = Callable[[], AbstractAsyncContextManager[None]]
"""Makes what is put around a long wait, so that a slot is free for others meanwhile."""

_log = logging.getLogger(__name__)


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
        """What the shop says of it now, or has said lately.

        Raises:
            ProductUnknownError: No product has the SKU, or several have.
            JobError: The shop has not answered.
        """
        return await self.trusted() or await self._asked()

    async def anew(self) -> KnownProduct:
        """What the shop says of it now; what was remembered is forgotten.

        Raises:
            ProductUnknownError, JobError: See `fresh`.
        """
        await asyncio.to_thread(self._services.ledger.catalogue.forget_product, self._sku)
        return await self._asked()

    async def before_paying(self) -> KnownProduct | None:
        """The product, for a photo that is to be published; the shop is asked if need be.

        Asked again only where there was no answer: photos of one product ask once.

        Returns:
            What is known of it: where the shop cannot answer now, what is remembered, however old.

        Raises:
            ProductUnknownError: No product has the SKU, or several have.
        """
        if self._known is None and self._services.target is not None:
            known = await self._remembered()
            if not self._is_trusted(known):
                async with self._released():
                    known = await self._in_turn(known)
            self._known = known
        return self._known

    async def _in_turn(self, known: KnownProduct | None) -> KnownProduct | None:
        inquiries = self._services.inquiries
        turn = inquiries.turns[self._sku]
        another_asks = turn.locked()
        async with turn:
            if another_asks:
                known = await self._remembered()
                if self._is_trusted(known) or self._sku in inquiries.unanswered:
                    return known
            inquiries.unanswered.discard(self._sku)
            try:
                async with asyncio.timeout(PATIENCE_SECONDS), self._services.asking_target():
                    return await self._asked(may_be_new=True)
            except ProductUnknownError:
                raise
            except (PhotopipeError, TimeoutError) as error:
                inquiries.unanswered.add(self._sku)
                _log.warning(
                    "The shop does not say now which product has the SKU %r; the photo goes on, "
                    "and it is asked again before publishing. %s",
                    self._sku,
                    error or f"No answer within {PATIENCE_SECONDS:.0f} s.",
                )
                return known

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
