"""A Shopify store as `targets.base.Target`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Final

from photopipe_dagster.shopify import bulk_reads, files, product_media
from photopipe_dagster.shopify.client import ShopifyClient
from photopipe_dagster.shopify.deadline import Deadline
from photopipe_dagster.shopify.models import file_name
from photopipe_dagster.shopify.products import all_variants, choose_product, find_product
from photopipe_dagster.targets.base import (
    ListedSku,
    MediaRecord,
    ProductRef,
    Publication,
    PublishedMedia,
    StandingMedia,
    Withdrawn,
)
from photopipe_dagster.targets.shopify.plugin import Plugin
from photopipe_dagster.targets.shopify.publish import publish

INDEX_LAG_POLLS: Final = 15
"""Shopify's search finds a new product only seconds after it was made: where none is found, it is
looked for once more after so many times SHOPIFY_POLL_SECONDS."""


class ShopifyTarget:
    """One store.

    Args:
        client: Speaks with it.
    """

    name = Plugin.name

    def __init__(self, client: ShopifyClient) -> None:
        self.client = client

    async def find_product(self, sku: str, *, may_be_new: bool = False) -> ProductRef:
        """The one product that has exactly this SKU."""
        products = await find_product(self.client, sku)
        if not products and may_be_new:
            await self.client.sleep(INDEX_LAG_POLLS * self.client.settings.shopify_poll_seconds)
            products = await find_product(self.client, sku)
        found = choose_product(sku, products)
        category = found.category
        return ProductRef(
            id=found.id,
            title=found.title,
            handle=found.handle,
            category_id=None if category is None else category.id,
            category=None if category is None else category.full_name,
            product_type=found.product_type,
        )

    async def publish(self, publication: Publication, record: MediaRecord) -> PublishedMedia:
        """Put a picture on a product, once."""
        deadline = Deadline(self.client)
        return await publish(self.client, publication, record, Plugin.limits, deadline)

    async def withdraw(
        self, product_id: str, media_ids: Collection[str], *, restore: str | None = None
    ) -> Withdrawn:
        """Take pictures off a product and put an earlier one back in their place."""
        client, deadline = self.client, Deadline(self.client)
        standing = {each.id for each in await product_media.media_if_any(client, product_id) or ()}
        leaving = tuple(each for each in media_ids if each in standing)
        if restore in standing and not leaving:
            return Withdrawn(restored=restore)  # an attempt that was killed got so far
        lost = None
        # What the merchant took off himself leaves no place for the earlier one to come back to.
        if restore is not None and leaving:
            file = await files.file_by_id(client, restore)
            if file is not None and file.usable:
                await product_media.take_place(
                    client, product_id, restore, leaving, replacing=_unrecorded, deadline=deadline
                )
                return Withdrawn(leaving, restored=restore)
            lost = restore
        for each in leaving:
            await product_media.detach(client, product_id, each, deadline)
        return Withdrawn(leaving, lost=lost)

    async def media_of(
        self, product_ids: Collection[str]
    ) -> Mapping[str, tuple[StandingMedia, ...] | None]:
        """What stands on each product; ``None`` for a product that is gone."""
        found = await bulk_reads.media_of_products(self.client, product_ids)
        return {
            product_id: None
            if media is None
            else tuple(StandingMedia(each.id, file_name(each.url)) for each in media)
            for product_id, media in found.items()
        }

    async def existing(self, media_ids: Collection[str]) -> frozenset[str]:
        """Those media whose file is still in the store's file library."""
        return await bulk_reads.existing(self.client, media_ids)

    async def list_skus(self) -> AsyncIterator[list[ListedSku]]:
        """All SKUs of the store, with their barcodes."""
        async for page in all_variants(self.client):
            yield [
                ListedSku(each.sku, (each.barcode or "").strip() or None, each.title)
                for each in page
                if each.sku and each.sku.strip()
            ]

    async def aclose(self) -> None:
        """Close connections."""
        await self.client.aclose()


async def _unrecorded(_: str | None) -> None:
    """What is left to do is seen on the product."""
