"""Finding the product of a SKU.

Shopify has no lookup by SKU, only a search whose index ignores case, splits words and lags behind:
near matches are its normal answer. So every hit is compared byte for byte, and every page is read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from photopipe_dagster.core.errors import ProductUnknownError
from photopipe_dagster.shopify.client import ShopifyClient
from photopipe_dagster.shopify.models import ListedVariant, Page, Product, Variant, read

MAX_PAGES: Final = 10
"""Pages of 50 variants that are read before a SKU counts as too vague to decide."""


async def find_product(client: ShopifyClient, sku: str) -> tuple[Product, ...]:
    """All products that have a variant with exactly this SKU, in Shopify's order.

    Raises:
        ProductUnknownError: There are too many near matches to read.
        TargetError: Refused or failed.
        NetworkError, RateLimitError: Shopify did not answer now.
    """
    for query in _searches(sku):
        found = _variants(client, query, sku)
        products = {
            variant.product.id: variant.product async for variant in found if variant.sku == sku
        }
        if products:
            return tuple(products.values())
    return ()


async def all_variants(client: ShopifyClient) -> AsyncIterator[tuple[ListedVariant, ...]]:
    """All variants of the store, a page at a time.

    Raises:
        TargetError, NetworkError, RateLimitError: Shopify refused or did not answer now.
    """
    after: str | None = None
    while True:
        data = await client.execute("list_variants", {"after": after}, safe=True)
        page = read(Page[ListedVariant], data.get("productVariants"), "all variants")
        yield page.nodes
        if not page.page_info.has_next_page:
            return
        after = page.page_info.end_cursor


def choose_product(sku: str, found: tuple[Product, ...]) -> Product:
    """The one product to publish to: the only one, or the only one that is not archived.

    A DRAFT or UNLISTED product is as good as an ACTIVE one: pictures come before the launch.

    Raises:
        ProductUnknownError: There is none, or which one cannot be decided; permanent.
    """
    if not found:
        raise ProductUnknownError(
            f"No product has the SKU {sku!r}: create it in Shopify, then `photopipe retry JOB`.",
            details={"sku": sku},
        )
    living = [product for product in found if product.status != "ARCHIVED"]
    candidates = living or list(found)
    if len(candidates) == 1:
        return candidates[0]
    named = ", ".join(f"{product.handle} ({product.id})" for product in candidates)
    raise ProductUnknownError(
        f"{len(candidates)} products have the SKU {sku!r}: {named}. Give it to one of them alone "
        "(or archive the others) in Shopify, then `photopipe retry JOB`.",
        details={"sku": sku, "products": [product.id for product in candidates]},
    )


async def _variants(client: ShopifyClient, query: str, sku: str) -> AsyncIterator[Variant]:
    after: str | None = None
    for _ in range(MAX_PAGES):
        data = await client.execute("find_variants", {"query": query, "after": after}, safe=True)
        page = read(Page[Variant], data.get("productVariants"), "variants by SKU")
        for variant in page.nodes:
            yield variant
        if not page.page_info.has_next_page:
            return
        after = page.page_info.end_cursor
    raise ProductUnknownError(
        f"Shopify finds more than {MAX_PAGES * 50} variants like the SKU {sku!r}, too many to tell "
        "whose it is: give the product a more particular SKU.",
        details={"sku": sku},
    )


def _searches(sku: str) -> tuple[str, ...]:
    r"""The searches to try, one after another until one finds the SKU.

    A value in quotes ends at a quote, and a backslash escapes
    (https://shopify.dev/docs/api/usage/search-syntax). Whether ``:``, ``(`` and ``)`` have to be
    escaped within quotes is not said, so that SKUs with one of them get a second try.
    """
    quoted = sku.replace("\\", "\\\\").replace('"', '\\"')
    escaped = "".join(f"\\{letter}" if letter in ":()" else letter for letter in quoted)
    return tuple(dict.fromkeys((f'sku:"{quoted}"', f'sku:"{escaped}"')))
