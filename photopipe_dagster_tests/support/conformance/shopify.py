"""The simulator of Shopify, as a merchant knows it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import httpx

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.sandbox.server import RunningSandbox
from photopipe_dagster_tests.support.conformance.publishing import Storefront


class ShopifyFront(Storefront):
    """Products in the sandbox."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        own = {"shopify_store": sandbox.shopify_url, "shopify_poll_seconds": 0.01}
        token = sandbox.config.shopify_token
        super().__init__("shopify", Settings(_env_file=None, shopify_access_token=token, **own))
        self.state = sandbox.state.shopify

    def add_product(self, *skus: str) -> str:
        return self.state.add_product(f"Product {skus[0]}", skus)

    def add_picture(self) -> str:
        file = self.state.add_file("http://x.test/own.jpg", self.state.new_id("own"), "")
        file.loaded = file.settled = True
        return file.id

    def gallery(self, product: str) -> list[str]:
        return self.state.products[product].media_ids

    def files(self) -> Mapping[str, object]:
        return self.state.files

    def products(self) -> dict[str, Any]:
        return self.state.products

    def step(self, request: httpx.Request) -> str | None:
        """The name of its mutation."""
        if not request.url.path.endswith("graphql.json"):
            return "upload"
        mutation = re.match(r"mutation (\w+)", json.loads(request.content)["query"])
        return mutation and mutation[1]
