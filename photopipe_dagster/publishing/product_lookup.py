"""The product of a photo's SKU: asked of Shopify, remembered in the ledger.

A photo that is to be published asks before anything is paid for it: one whose SKU no product has
would be cut out and given a background in vain. The stage that publishes finds the answer
remembered. If Shopify cannot answer, the photo goes on, and that stage asks again: a shop that is
down keeps no cut-outs from being made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from typing import Final

from photopipe_dagster.core.errors import PhotopipeError, ProductUnknownError
from photopipe_dagster.ledger.catalogue import KnownProduct
from photopipe_dagster.runtime.services import Services
from photopipe_dagster.shopify.client import ShopifyClient
from photopipe_dagster.shopify.products import choose_product, find_product

PRODUCT_TRUSTED_FOR: Final = timedelta(hours=1)
"""How long the SKU map is believed: a SKU can move to another product at any time."""

PATIENCE_SECONDS: Final = 60.0
"""How long a photo waits for an answer before it goes on without one."""

INDEX_LAG_POLLS: Final = 15
"""Shopify's search finds a new product only seconds after it was made: where none is found, it is
looked for once more after so many times SHOPIFY_POLL_SECONDS."""

Rests = Callable[[], AbstractAsyncContextManager[None]]
"""Makes what is put around a long wait; see `pipeline.Hand`."""

_log = logging.getLogger(__name__)


async def remembered_product(services: Services, sku: str) -> KnownProduct | None:
    """What the ledger has of the product, however old."""
    return await asyncio.to_thread(services.ledger.catalogue.product, sku)


def is_trusted(services: Services, known: KnownProduct | None) -> bool:
    """Whether Shopify has said so lately."""
    now = services.ledger.database.now()
    return known is not None and now - known.synced_at <= PRODUCT_TRUSTED_FOR


async def look_up(
    services: Services, client: ShopifyClient, sku: str, *, may_be_new: bool = False
) -> KnownProduct:
    """Ask Shopify for the product, and remember it.

    Args:
        may_be_new: Whether one that is not found is looked for once more, a while later.

    Raises:
        ProductUnknownError: No product has the SKU, or several have.
        JobError: Shopify has not answered.
    """
    products = await find_product(client, sku)
    if not products and may_be_new:
        await client.sleep(INDEX_LAG_POLLS * services.settings.shopify_poll_seconds)
        products = await find_product(client, sku)
    found = choose_product(sku, products)
    category = found.category
    return await asyncio.to_thread(
        services.ledger.catalogue.remember_product,
        sku,
        found.id,
        handle=found.handle,
        title=found.title,
        category_id=None if category is None else category.id,
        category=None if category is None else category.full_name,
        product_type=found.product_type,
    )


async def product_before_paying(
    services: Services, sku: str, *, rests: Rests = nullcontext
) -> KnownProduct | None:
    """The product of a SKU, for a photo that is to be published; Shopify is asked if need be.

    Args:
        rests: Put around the wait for Shopify, and for others who ask it for the same.

    Returns:
        What is known of it: where Shopify cannot answer now, what is remembered, however old.

    Raises:
        ProductUnknownError: No product has the SKU, or several have.
    """
    client = services.shopify
    if client is None:
        return None
    known = await remembered_product(services, sku)
    if is_trusted(services, known):
        return known
    async with rests():
        return await _inquire(services, client, sku, known)


async def _inquire(
    services: Services, client: ShopifyClient, sku: str, known: KnownProduct | None
) -> KnownProduct | None:
    inquiries = services.inquiries
    turn = inquiries.turns[sku]
    another_asks = turn.locked()
    async with turn:
        if another_asks:
            known = await remembered_product(services, sku)
            if is_trusted(services, known) or sku in inquiries.unanswered:
                return known
        inquiries.unanswered.discard(sku)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), services.asking_shopify():
                return await look_up(services, client, sku, may_be_new=True)
        except ProductUnknownError:
            raise
        except (PhotopipeError, TimeoutError) as error:
            inquiries.unanswered.add(sku)
            _log.warning(
                "Shopify does not say now which product has the SKU %r; the photo goes on, and "
                "it is asked again before publishing. %s",
                sku,
                error or f"No answer within {PATIENCE_SECONDS:.0f} s.",
            )
            return known
