"""Looks at many products and files of the shop with few requests; changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from photopipe_dagster.core.batched import batched
from photopipe_dagster.shopify import product_media
from photopipe_dagster.shopify.client import ShopifyClient
from photopipe_dagster.shopify.models import Model, Node, Page, ProductMedia, read

MAX_IDS: Final = 250
"""Ids of one request at most."""

PRODUCTS_A_REQUEST: Final = 15
"""A product with 25 media and their images is 53 points; a request may cost 1000."""


class _Nodes(Model):
    nodes: tuple[Node | None, ...]


class _ProductNode(Node):
    media: Page[ProductMedia]


class _Products(Model):
    nodes: tuple[_ProductNode | None, ...]


async def media_of_products(
    client: ShopifyClient, product_ids: Collection[str]
) -> Mapping[str, tuple[ProductMedia, ...] | None]:
    """All media of products, in their order; ``None`` for a product that is gone.

    Raises:
        TargetError, NetworkError, RateLimitError: Shopify refused or did not answer now.
    """
    found: dict[str, tuple[ProductMedia, ...] | None] = {}
    for ids in batched(sorted(product_ids), PRODUCTS_A_REQUEST):
        data = await client.execute("products_media", {"ids": ids}, safe=True)
        for product_id, node in zip(ids, read(_Products, data, "products").nodes, strict=True):
            if node is None:
                found[product_id] = None
            elif node.media.page_info.has_next_page:
                found[product_id] = await product_media.media_if_any(client, product_id)
            else:
                found[product_id] = node.media.nodes
    return found


async def existing(client: ShopifyClient, ids: Collection[str]) -> frozenset[str]:
    """Which of these ids Shopify still has.

    Raises:
        TargetError, NetworkError, RateLimitError: Shopify refused or did not answer now.
    """
    found: set[str] = set()
    for part in batched(sorted(ids), MAX_IDS):
        data = await client.execute("existing_nodes", {"ids": part}, safe=True)
        found |= {node.id for node in read(_Nodes, data, "ids").nodes if node is not None}
    return frozenset(found)
