"""What lies or hangs in its photos, and what is large in life, by what the shop says of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from photopipe_dagster.ledger.catalogue import KnownProduct
from photopipe_dagster.publishing.product_kind import Told, doubtful_kind, misfit, what_it_is
from photopipe_dagster.quality.results import Verdict
from photopipe_dagster.themes.builtin import THEMES

GID = "gid://shopify/TaxonomyCategory/"


def why(
    category_id: str | None = None,
    category: str | None = None,
    product_type: str | None = None,
    title: str | None = None,
) -> str | None:
    found = told(category_id, category, product_type, title)
    return found.why if found is not None and found.kind.flat_lay else None


def told(
    category_id: str | None = None,
    category: str | None = None,
    product_type: str | None = None,
    title: str | None = None,
) -> Told | None:
    gid = None if category_id is None else GID + category_id
    return what_it_is(category_id=gid, category=category, product_type=product_type, title=title)


@pytest.mark.parametrize(
    ("category_id", "name"),
    [
        ("aa-1", "Apparel & Accessories > Clothing"),
        ("aa-1-13-8", "Apparel & Accessories > Clothing > Clothing Tops > T-Shirts"),
        ("aa-2-6", "Apparel & Accessories > Clothing Accessories > Belts"),
        ("aa-2-13", "Apparel & Accessories > Clothing Accessories > Gloves & Mittens"),
        ("aa-2-26", "Apparel & Accessories > Clothing Accessories > Scarves & Shawls"),
        ("aa-3-3-1", "Apparel & Accessories > Costumes & Accessories > Costumes > Costume Dresses"),
        ("hg-3-57", "Home & Garden > Decor > Rugs"),
        ("hg-15", "Home & Garden > Linens & Bedding"),
        ("hg-15-4-2", "Home & Garden > Linens & Bedding > Towels > Beach Towels"),
        # Not in a branch of textiles, but named as one.
        (
            "hg-10-6-16",
            "Home & Garden > Household Supplies > Shop Towels & General-Purpose Cleaning Cloths",
        ),
    ],
)
def test_categories_that_lie(category_id: str, name: str):
    assert why(category_id, name, product_type="Mugs", title="Mug") == f"its category is {name}"


@pytest.mark.parametrize(
    ("category_id", "name"),
    [
        ("aa-8-8", "Apparel & Accessories > Shoes > Sneakers"),
        ("aa-2-17-1", "Apparel & Accessories > Clothing Accessories > Hats > Baseball Caps"),
        ("aa-2-10", "Apparel & Accessories > Clothing Accessories > Cufflinks"),
        ("aa-10", "Apparel & Accessories > A branch that there is not"),
        ("aa-5-4", "Apparel & Accessories > Handbags, Wallets & Cases > Handbags"),
        ("hg-3-64", "Home & Garden > Decor > Throw Pillows"),
        ("hg-15-1-9", "Home & Garden > Linens & Bedding > Bedding > Pillows"),
        ("hg-3-67", "Home & Garden > Decor > Vases"),
        (
            "hg-10-9-4",
            "Home & Garden > Household Supplies > Laundry Supplies > Drying Racks & Hangers",
        ),
        (
            "hg-10-7-3",
            "Home & Garden > Household Supplies > Household Paper Products > Paper Towels",
        ),
    ],
)
def test_categories_that_do_not_lie_whatever_the_title_says(category_id: str, name: str):
    assert why(category_id, name, product_type="Shirts", title="T-shirt") is None


@pytest.mark.parametrize("category_id", ["aa", "aa-2", "aa-2-2", "hg", "hg-3", "hg-3-74", "na"])
def test_a_category_that_is_too_wide_says_nothing(category_id: str):
    assert why(category_id, "Wide", title="T-shirt") == "its title is T-shirt"
    assert why(category_id, "Wide", title="Mug") is None


def test_what_is_no_category_of_the_taxonomy_says_nothing():
    odd = {"category_id": "gid://shopify/ProductTaxonomyNode/1", "category": "Mugs"}
    found = what_it_is(**odd, product_type=None, title="T-shirt")
    assert found is not None
    assert found.why == "its title is T-shirt"


def test_the_product_type_goes_before_the_title():
    assert why(product_type="T-Shirts", title="Mug") == "its product type is T-Shirts"
    assert why(product_type="Mugs", title="T-shirt") is None
    assert why(product_type="Summer 2026", title="T-shirt") == "its title is T-shirt"
    assert why(product_type="", title="") is None
    assert why() is None


@pytest.mark.parametrize(
    "title",
    [
        "T-shirt with van",
        "T shirt",
        "TSHIRT",
        "Tee-shirt",
        "Men's Tee",
        "Graphic tees",
        "Hoodie",
        "Wool sweater",
        "Jumper",
        "Leopard print dress",
        "Dress, floral print",
        "Wrap dress floral print",
        "Summer dresses",
        "Skirt",
        "Trousers",
        "Jeans, slim",
        "Shorts",
        "Acme – Oxford shirt",
        "Acme | Shirt | Blue",
        "Box logo hoodie",
        "Button-down shirt",
        "Hoodie tie dye",
        "Pair of socks",
        "Set of 2 towels",
        "Bath towel",
        "Cashmere scarf",
        "Silk scarves",
        "Wool blanket",
        "Persian rug",
        "Fitted sheet",
        "Tank top",
        "Black ribbed top",
        "Tops",
        "Mesh top with long sleeves",
        "Sofa cover",
        "Table runner, linen",
        "Dressing gown",
        "T-Shirt mit Van",
        "Slip-on dress",
    ],
)
def test_titles_of_what_lies(title: str):
    assert why(title=title) == f"its title is {title}"


@pytest.mark.parametrize(
    "title",
    [
        "Shirt hanger",
        "Hanger for shirts",
        "Clothes rack",
        "Towel rail",
        "Towel rack",
        "T-shirt print",
        "Mug with T-shirt",
        "T-shirt mug",
        "Dress shirt box",
        "Box of 3 T-shirts",
        "Salad dressing",
        "Trouser press",
        "Dress shoes",
        "Sock monkey toy",
        "Jumper cables",
        "Paper towels",
        "Throw pillow",
        "Cushion with parrot",
        "Suitcase",
        "Suit case",
        "Top coat nail polish",
        "Golf tees",
        "PVC pipe tee",
        "Curtain rod",
        "Scarf ring",
        "Shirtless man, bronze",
        "Top quality kettle",
        "Oak table top",
        "High tops",
        "Spinning top",
        "Laptop",
        "Shortbread",
        "Rugby ball",
        "Wall paint, dwarf red",
        "Power juice",
        "Tasse mit T-Shirt",
        "Baumwollhemd mit Streifen",
        "Pull en laine",
        "",
    ],
)
def test_titles_of_what_does_not(title: str):
    assert why(title=title) is None


# --- size in life --------------------------------------------------------------------------


def size(**facts: str) -> str | None:
    found = told(**facts)
    return None if found is None else found.kind.size


@pytest.mark.parametrize(
    ("category_id", "name", "expected"),
    [
        ("fr", "Furniture", "large"),
        ("fr-7-1", "Furniture > Chairs > Arm Chairs, Recliners & Sleeper Chairs", "large"),
        (
            "fr-2-2-11",
            "Furniture > Beds & Accessories > Beds & Bed Frames > Platform Beds",
            "large",
        ),
        ("fr-6", "Furniture > Chair Accessories", None),
        ("fr-1-5-1", "Furniture > Crib & Toddler Bed Accessories > Crib Bumpers & Liners", None),
        ("vp-2-2-1", "Vehicles & Parts > Vehicles > Motor Vehicles > Cars, Trucks & Vans", "large"),
        ("vp-1-4", "Vehicles & Parts > Vehicle Parts & Accessories > Motorcycle Mirrors", None),
        ("sg-4-4-9", "Sporting Goods > Outdoor Recreation > Cycling > Bicycles", "large"),
        ("sg-4-4-1-1", "Sporting Goods > Cycling > Bicycle Accessories > Bicycle Bells", None),
        ("hg-13-9-1", "Home & Garden > Lighting > Lamps > Floor Lamps", "medium"),
        ("hg-13-9-2", "Home & Garden > Lighting > Lamps > Table Lamps", None),
        ("lb-13", "Luggage & Bags > Suitcases", "medium"),
        ("tg-5-3", "Toys & Games > Toys > Doll Furniture", None),
        ("hg-11-6", "Home & Garden > Kitchen & Dining > Mugs", None),
        ("aa-1-13-8", "Apparel & Accessories > Clothing > Clothing Tops > T-Shirts", None),
    ],
)
def test_the_size_of_a_category(category_id: str, name: str, expected: str | None):
    assert size(category_id=category_id, category=name, title="Sofa") == expected


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Oslo sofa, 3 seats", "large"),
        ("Armchair Blue Velvet", "large"),
        ("Dining chair, set of 2", "large"),
        ("Coffee table", "large"),
        ("Sofa bed", "large"),
        ("Road bike 54 cm", "large"),
        ("Washing machine", "large"),
        ("Floor lamp", "medium"),
        ("Suit case", "medium"),
        ("Skateboards", "medium"),
        ("Table lamp", None),
        ("Desk organizer", None),
        ("Bike bell", None),
        ("Bike helmet", None),
        ("Chair cushion", None),
        ("Dollhouse sofa", None),
        ("Mug with a bicycle", None),
        ("Coffee table book", None),
        ("Table tennis bat", None),
        ("Table cloth", None),
        ("Mug", None),
    ],
)
def test_the_size_that_a_title_tells(title: str, expected: str | None):
    assert size(title=title) == expected


def known(**said: str) -> KnownProduct:
    return KnownProduct("A", "gid://1", "a", said.pop("title", None), datetime.now(UTC), **said)


@pytest.mark.parametrize(
    ("title", "themes"),
    [
        ("Armchair", {"kitchen", "outdoors"}),
        ("Floor lamp", {"kitchen"}),
        ("Table lamp", set()),
        ("Armin", set()),
    ],
)
def test_the_themes_that_something_is_too_large_for(title: str, themes: set[str]):
    found = {name for name, theme in THEMES.items() if misfit(theme, known(title=title))}
    assert found == themes
    assert misfit(THEMES["kitchen"], None) is None


def test_what_is_too_large_is_said_with_its_reason():
    said = misfit(THEMES["kitchen"], known(product_type="Sofas"))
    assert said is not None
    assert said.verdict is Verdict.WARN
    assert str(said).startswith("size in life is large (should be small). It would look like a toy")
    assert "its product type is Sofas" in str(said)


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("Wine Glass, set of 2", "see-through"),
        ("Pink Sunglasses", "see-through"),
        ("Bamboo Glass Jar", "see-through"),
        ("Clear Plastic Bottle 500 ml", "see-through"),
        ("Silver Necklace with Pendant", "jewellery"),
        ("Earrings", "jewellery"),
    ],
)
def test_what_no_outline_tells_of_is_for_a_person(title: str, kind: str):
    measure = doubtful_kind(known(title=title))
    assert measure is not None
    assert (measure.value, measure.verdict) == (kind, Verdict.WARN)
    assert f"its title is {title}" in measure.advice


@pytest.mark.parametrize(
    "title",
    ["Magnifying Glass", "Glass Cleaner", "Jewellery Box", "Necklace Stand", "Mug", "Carrot Juice"],
)
def test_what_is_only_near_such_a_kind_is_not(title: str):
    assert doubtful_kind(known(title=title)) is None
    assert doubtful_kind(None) is None
