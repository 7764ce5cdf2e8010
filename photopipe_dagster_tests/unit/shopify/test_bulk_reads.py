"""Many products and files with few requests, against the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from photopipe_dagster.core.errors import TargetError
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.server import RunningSandbox, running_sandbox
from photopipe_dagster.shopify import bulk_reads
from photopipe_dagster.shopify.client import ShopifyClient
from photopipe_dagster.shopify.settings import ShopifySettings


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(SandboxConfig()) as running:
        yield running


@pytest.fixture
def settings(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> ShopifySettings:
    sandbox.state.reset()
    monkeypatch.setenv("SHOPIFY_STORE", sandbox.shopify_url)
    monkeypatch.setenv("SHOPIFY_ACCESS_TOKEN", sandbox.config.shopify_token)
    return ShopifySettings(_env_file=None)


def with_media(sandbox: RunningSandbox, count: int) -> str:
    shop = sandbox.state.shopify
    product = shop.products[shop.add_product(f"Product with {count}", skus=[])]
    for number in range(count):
        product.media_ids.append(with_file(sandbox, f"{product.handle}-{number}.jpg"))
    return product.id


def with_file(sandbox: RunningSandbox, name: str) -> str:
    file = sandbox.state.shopify.add_file("http://x.test/1.jpg", name, "")
    file.loaded = file.settled = True  # nobody has to fetch it
    return file.id


def test_all_media_of_many_products(sandbox: RunningSandbox, settings: ShopifySettings) -> None:
    counts = {with_media(sandbox, number % 3): number % 3 for number in range(31)}
    counts[with_media(sandbox, 60)] = 60
    gone = "gid://shopify/Product/1"

    async def look() -> None:
        async with ShopifyClient(settings) as client:
            found = await bulk_reads.media_of_products(client, {*counts, gone})
            assert found.pop(gone) is None
            assert {each: len(media or ()) for each, media in found.items()} == counts
            for product_id, media in found.items():
                ids = sandbox.state.shopify.products[product_id].media_ids
                assert [each.id for each in media or ()] == ids

    asyncio.run(look())


def test_which_files_are_there(sandbox: RunningSandbox, settings: ShopifySettings) -> None:
    there = {with_file(sandbox, f"{number}.jpg") for number in range(300)}
    gone = {f"gid://shopify/MediaImage/{number}" for number in range(1, 300)}

    async def look() -> None:
        async with ShopifyClient(settings) as client:
            assert await bulk_reads.existing(client, there | gone) == there
            assert await bulk_reads.existing(client, []) == frozenset()
            with pytest.raises(TargetError):
                await client.execute("existing_nodes", {"ids": sorted(there)}, safe=True)

    asyncio.run(look())
