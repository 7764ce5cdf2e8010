"""The shop in a folder, from one start of the simulators to the next."""

from __future__ import annotations

from pathlib import Path

import httpx

from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.server import running_sandbox
from photopipe_dagster.sandbox.shopify.records import Category
from photopipe_dagster_tests.unit.sandbox.conftest import picture

MUGS = Category("gid://shopify/TaxonomyCategory/hg-11-10", "Home > Mugs")


def test_what_is_published_is_there_after_a_restart(tmp_path: Path) -> None:
    config = SandboxConfig(shop_folder=tmp_path / "shop", shopify_media_polls=0)
    with running_sandbox(config) as sandbox, _client(sandbox.url) as http:
        product = http.post(
            "/_sandbox/shopify/products",
            json={"title": "Mug", "skus": ["MUG-1"], "category": vars(MUGS)},
        ).json()["id"]
        shop = sandbox.state.shopify
        file = shop.add_file("", "mug.png", "A mug")
        file.data, file.content_type, file.loaded = picture(), "image/jpeg", True
        shop.products[product].media_ids.append(file.id)
        http.post("/_sandbox/shopify/products", json={"title": "Cup"})
        before = http.get("/_sandbox/shopify/products").json()

    with running_sandbox(config) as sandbox, _client(sandbox.url) as http:
        again = http.get("/_sandbox/shopify/products").json()
        assert _without_address(again) == _without_address(before)
        shop = sandbox.state.shopify
        assert shop.files[file.id].data == picture()
        assert shop.products[product].category == MUGS
        number = shop.new_id("Product").rpartition("/")[2]
        assert int(number) > int(list(shop.products)[-1].rpartition("/")[2])


def test_a_shop_that_was_emptied_stays_empty(tmp_path: Path) -> None:
    config = SandboxConfig(shop_folder=tmp_path / "shop")
    with running_sandbox(config) as sandbox, _client(sandbox.url) as http:
        http.post("/_sandbox/shopify/products", json={"title": "Cup"})
        http.post("/_sandbox/reset")
    with running_sandbox(config) as sandbox:
        assert sandbox.state.shopify.products == {}


def _client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, trust_env=False, timeout=10)


def _without_address(products: list[dict[str, object]]) -> str:
    # The port is another one each time.
    return str(
        [{**product, "media": [_known(each) for each in product["media"]]} for product in products]
    )


def _known(media: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in media.items() if name != "url"}
