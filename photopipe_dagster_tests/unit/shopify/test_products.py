"""The right product, or none."""

import pytest

from photopipe_dagster.core.errors import ProductUnknownError
from photopipe_dagster.shopify.models import Category, Product
from photopipe_dagster.shopify.products import choose_product, find_product
from photopipe_dagster_tests.unit.shopify.scripted import Shopify, data, page, variant


def found(number: int, status: str = "ACTIVE") -> Product:
    return Product(
        id=f"gid://shopify/Product/{number}", title="", handle=f"mug-{number}", status=status
    )


async def test_only_the_exact_sku_counts() -> None:
    nodes = [variant(1, "mug-1"), variant(2, "MUG-10"), variant(3, None), variant(4, "MUG-1", 2)]
    shopify = Shopify(FindVariants=data(productVariants=page(*nodes)))
    (product,) = await find_product(shopify.client(), "MUG-1")
    assert product.id == "gid://shopify/Product/2"
    assert product.handle == "product-2"


async def test_what_the_product_is_comes_with_it() -> None:
    bare, named = variant(1, "BARE", 1), variant(2, "NAMED", 2)
    bare["product"] |= {"productType": "", "category": None}
    category = {"id": "gid://shopify/TaxonomyCategory/aa-1", "fullName": "Apparel > Clothing"}
    named["product"] |= {"productType": "Tees", "category": category}
    shopify = Shopify(FindVariants=data(productVariants=page(bare, named)))
    (product,) = await find_product(shopify.client(), "BARE")
    assert (product.product_type, product.category) == ("", None)
    (product,) = await find_product(shopify.client(), "NAMED")
    assert product.product_type == "Tees"
    assert product.category == Category(id=category["id"], full_name="Apparel > Clothing")


async def test_near_matches_alone_are_none() -> None:
    shopify = Shopify(FindVariants=data(productVariants=page(variant(1, "MUG-10"))))
    assert await find_product(shopify.client(), "MUG-1") == ()
    assert shopify.count("FindVariants") == 1


async def test_variants_of_one_product_are_one_product() -> None:
    nodes = [variant(1, "S", 7), variant(2, "S", 7)]
    shopify = Shopify(FindVariants=data(productVariants=page(*nodes)))
    (product,) = await find_product(shopify.client(), "S")
    assert product.id == "gid://shopify/Product/7"


async def test_every_page_is_read() -> None:
    shopify = Shopify(
        FindVariants=[
            data(productVariants=page(variant(1, "S", 1), more="cursor")),
            data(productVariants=page(variant(2, "S", 2))),
        ]
    )
    assert len(await find_product(shopify.client(), "S")) == 2
    assert shopify.variables("FindVariants")["after"] == "cursor"


async def test_too_many_pages_are_not_decided() -> None:
    shopify = Shopify(FindVariants=data(productVariants=page(variant(1, "S"), more="c")))
    with pytest.raises(ProductUnknownError, match="500"):
        await find_product(shopify.client(), "S")
    assert shopify.count("FindVariants") == 10


@pytest.mark.parametrize(
    ("sku", "queries"),
    [
        ("ITEM_#2 750ML", ['sku:"ITEM_#2 750ML"']),
        ('a"b\\c', [r'sku:"a\"b\\c"']),
        ("a:(b)", ['sku:"a:(b)"', r'sku:"a\:\(b\)"']),
        ("a* OR b", ['sku:"a* OR b"']),
    ],
)
async def test_skus_cannot_break_out_of_the_search(sku: str, queries: list[str]) -> None:
    shopify = Shopify(FindVariants=data(productVariants=page()))
    assert await find_product(shopify.client(), sku) == ()
    asked = [shopify.variables("FindVariants", i)["query"] for i in range(len(queries))]
    assert asked == queries
    assert shopify.count("FindVariants") == len(queries)


def test_no_product_says_what_to_do() -> None:
    with pytest.raises(ProductUnknownError, match=r"create it in Shopify.*retry") as caught:
        choose_product("S", ())
    assert not caught.value.retryable


@pytest.mark.parametrize("status", ["ACTIVE", "DRAFT", "UNLISTED", "ARCHIVED"])
def test_the_only_product_is_chosen_whatever_its_status(status: str) -> None:
    assert choose_product("S", (found(1, status),)).id.endswith("/1")


@pytest.mark.parametrize("status", ["ACTIVE", "DRAFT", "UNLISTED"])
def test_the_only_living_product_is_chosen(status: str) -> None:
    products = (found(1, "ARCHIVED"), found(2, status), found(3, "ARCHIVED"))
    assert choose_product("S", products).id.endswith("/2")


@pytest.mark.parametrize("statuses", [("ACTIVE", "DRAFT"), ("ARCHIVED", "ARCHIVED")])
def test_several_are_ambiguous_and_named(statuses: tuple[str, str]) -> None:
    products = (found(1, statuses[0]), found(2, statuses[1]))
    with pytest.raises(ProductUnknownError) as caught:
        choose_product("S", products)
    assert not caught.value.retryable
    for product in products:
        assert product.id in caught.value.message
        assert product.handle in caught.value.message
