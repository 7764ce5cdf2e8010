"""All targets, asked to keep the contract of publishing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.server import RunningSandbox, running_sandbox
from photopipe_dagster_tests.support.conformance.publishing import PublishingContract, Storefront
from photopipe_dagster_tests.support.conformance.shopify import ShopifyFront
from photopipe_dagster_tests.support.plugins.services import KEY, Shop


class AcmeFront(Storefront):
    """Acme's shop."""

    def __init__(self, shop: Shop, url: str) -> None:
        own = {"acme_shop_url": url, "acme_shop_token": KEY}
        super().__init__("acme-shop", Settings(_env_file=None, **own))
        self._shop = shop

    def add_product(self, *skus: str) -> str:
        return self._shop.add_product(f"Product {skus[0]}", *skus).id

    def add_picture(self) -> str:
        return self._shop.add_file("own.jpg").id

    def gallery(self, product: str) -> list[str]:
        return self._shop.products[product].gallery

    def files(self) -> dict[str, object]:
        return self._shop.files

    def products(self) -> dict[str, object]:
        return self._shop.products


class TestAcmeShop(PublishingContract):
    name = "acme-shop"

    @pytest.fixture
    def front(self, outside: Path) -> Iterator[Storefront]:
        shop = Shop()
        with shop.running() as url:
            yield AcmeFront(shop, url)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(SandboxConfig(shopify_media_polls=0)) as sandbox:
        yield sandbox


class TestShopify(PublishingContract):
    name = "shopify"

    @pytest.fixture
    def front(self, sandbox: RunningSandbox) -> Storefront:
        sandbox.state.reset()
        return ShopifyFront(sandbox)
