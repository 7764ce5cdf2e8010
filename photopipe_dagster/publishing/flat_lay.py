"""Whether a product lies or hangs in its photos, by what the shop says that it is.

A shirt that was photographed flat ends below in a straight edge, as a box does: its outline says
that it stands. The shop knows better. Its category in Shopify's standard taxonomy goes first, then
the merchant's own product type, then the title; the last two are read for English words.

Categories: https://github.com/Shopify/product-taxonomy, `dist/en/categories.txt`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger.catalogue import KnownProduct

_TAXONOMY: Final = "gid://shopify/TaxonomyCategory/"

_LYING_CATEGORIES: Final = (
    "aa-1",  # Apparel & Accessories > Clothing
    "aa-2-1",  # … > Clothing Accessories > Arm Warmers & Sleeves
    "aa-2-2-1",  # … > Baby & Toddler Clothing Accessories > Baby & Toddler Belts
    "aa-2-2-2",  # … > Baby & Toddler Clothing Accessories > Baby & Toddler Gloves & Mittens
    "aa-2-3",  # … > Clothing Accessories > Balaclavas
    "aa-2-4",  # … > Clothing Accessories > Bandanas & Headties
    "aa-2-6",  # … > Clothing Accessories > Belts
    "aa-2-13",  # … > Clothing Accessories > Gloves & Mittens
    "aa-2-16",  # … > Clothing Accessories > Handkerchiefs
    "aa-2-19",  # … > Clothing Accessories > Leg Warmers
    "aa-2-22",  # … > Clothing Accessories > Neck Gaiters
    "aa-2-23",  # … > Clothing Accessories > Neckties
    "aa-2-25",  # … > Clothing Accessories > Sashes
    "aa-2-26",  # … > Clothing Accessories > Scarves & Shawls
    "aa-2-28",  # … > Clothing Accessories > Suspenders
    "aa-3-3",  # Apparel & Accessories > Costumes & Accessories > Costumes
    "hg-3-57",  # Home & Garden > Decor > Rugs
    "hg-3-60",  # Home & Garden > Decor > Slipcovers
    "hg-3-74-1",  # Home & Garden > Decor > Window Treatments > Curtains & Drapes
    "hg-15",  # Home & Garden > Linens & Bedding
)
"""With all below them. Hats, shoes and bags are not among them: their outline tells."""

_STANDING_CATEGORIES: Final = ("hg-15-1-9",)  # Home & Garden > … > Bedding > Pillows
"""With all below them, although they are below one that lies."""

_UNCATEGORIZED: Final = "na"

_LYING_WORDS: Final = frozenset(
    (  # noqa: SIM905  (a list would fill the screen)
        "tshirt tee shirt sweatshirt undershirt blouse tunic tanktop jersey hoodie sweater "
        "jumper pullover cardigan knitwear dress gown skirt kilt trousers pants jeans chinos "
        "leggings joggers sweatpants shorts dungarees overalls jumpsuit romper onesie bodysuit "
        "pyjama pajama nightgown nightdress nightie bathrobe kimono sari jacket coat blazer "
        "parka anorak poncho waistcoat vest suit swimsuit swimwear bikini underwear boxers "
        "briefs lingerie bra sock tights stockings pantyhose apron scarf scarves shawl bandana "
        "neckerchief necktie glove mitten handkerchief towel washcloth flannel blanket throw "
        "quilt duvet bedspread coverlet bedsheet bedding linen tablecloth napkin rug carpet "
        "bathmat doormat curtain drape garment clothing apparel"
    ).split()
)
"""Singulars, where there is one."""

_OTHER_WORDS: Final = frozenset(
    (  # noqa: SIM905  (a list would fill the screen)
        "hanger rack rail rod bar ladder tree hook holder stand ring clip pin peg press iron "
        "steamer shaver board folder stretcher warmer heater dryer dresser dressing machine "
        "dispenser organizer organiser print poster sticker decal patch card magnet book "
        "pattern mug cup glass bottle tumbler tin jar box case bag basket bin hamper wardrobe "
        "cabinet cleaner detergent softener shampoo conditioner spray perfume soap polish paint "
        "dye wax pillow cushion doll toy teddy plush figurine statue ornament candle lamp clock "
        "mannequin button buckle brooch stud cufflink needle yarn thread fabric kit shoe boot "
        "sneaker slipper sandal hat cap helmet watch phone cable wire potato"
    ).split()
)
"""The product is one of these, and the garment before it says only what it is for."""

_PHRASES: Final = (
    (re.compile(r"\b(?:t|tee)[\s-]?shirt"), "tshirt"),
    (re.compile(r"\b(?:golf|pipe|pvc)[\s-]tee"), "peg"),
    (re.compile(r"\b(?:tank|crop|tube|halter)[\s-]?top"), "tanktop"),
    (re.compile(r"\b(?:bed|fitted|flat)[\s-]sheet"), "bedsheet"),
    (re.compile(r"\b(?:bath|door)[\s-]mat"), "doormat"),
    (re.compile(r"\bpaper[\s-](?:towel|napkin|tablecloth)"), "roll"),
    (re.compile(r"\bthrow[\s-](?:pillow|cushion)"), "pillow"),
    (re.compile(r"\bdressing[\s-]gown"), "gown"),
    (re.compile(r"\bsuit[\s-]?case"), "case"),
    (re.compile(r"\blife[\s-]?(?:jacket|vest)"), "buoy"),
    (re.compile(r"\bjacket[\s-]potato"), "potato"),
    (re.compile(r"\b(?:top|base|under|clear|powder)[\s-]?coat"), "paint"),
    (re.compile(r"\b(?:floral|animal|leopard|zebra|graphic|logo|all[\s-]over)[\s-]print"), ""),
    (re.compile(r"\btie[\s-]?dye|\bbutton[\s-](?:down|up|front)"), ""),
    (re.compile(r"\b(?:set|pack|pair|bundle)s? of (?:\d+ )?"), ""),
)
"""Words that mean another thing together than alone, and what stands for them."""

_ABOUT: Final = re.compile(
    r"(?<![\w-])(?:with|without|for|from|of|in|on|by|mit|für|avec|pour|con|para)(?![\w-])"
)
"""What follows one of these is not the product. Some are not English: their titles, too, have
words such as *T-Shirt*."""

_PARTS: Final = re.compile(r"[,;:|/()\[\]•–—]|\s-\s")
"""Between the parts of a title."""

_WORD: Final = re.compile(r"[^\W\d_]+")


def why_it_lies(
    *, category_id: str | None, category: str | None, product_type: str | None, title: str | None
) -> str | None:
    """Why a product is held to lie or hang in its photos, for a person; ``None`` if it is not.

    The first of them that says what the product is decides.

    Args:
        category_id: ``gid://shopify/TaxonomyCategory/…``.
        category: Its full name, ``… > … > …``.
        product_type: The merchant's own word for its kind.
        title: Its name in the shop.
    """
    verdict = _by_category(category_id, category or "")
    if verdict is not None:
        return f"its category is {category or category_id}" if verdict else None
    for name, text in (("product type", product_type), ("title", title)):
        verdict = _by_words(text or "")
        if verdict is not None:
            return f"its {name} is {text}" if verdict else None
    return None


def _by_category(gid: str | None, name: str) -> bool | None:
    """Whether what is in a category lies; ``None`` if it is too wide to tell, or there is none."""
    if gid is None or not gid.startswith(_TAXONOMY):
        return None
    short = gid.removeprefix(_TAXONOMY)
    if any(_below(short, each) for each in _STANDING_CATEGORIES):
        return False
    if any(_below(short, each) for each in _LYING_CATEGORIES):
        return True
    if short == _UNCATEGORIZED or any(_below(each, short) for each in _LYING_CATEGORIES):
        return None
    # Elsewhere in the taxonomy are a few textiles, such as cleaning cloths and baby blankets.
    return bool(_by_words(name.rpartition(">")[2]))


def _below(category: str, above: str) -> bool:
    """Whether a category is another one, or below it."""
    return category == above or category.startswith(f"{above}-")


def _by_words(text: str) -> bool | None:
    """Whether a text names something that lies; ``None`` if it names nothing that is known.

    In English the last noun is the thing: a *shirt box* is a box, and a *leopard print dress* is a
    dress. So the last known word counts, of the first part of the text that has one.
    """
    plain = text.casefold()
    for phrase, word in _PHRASES:
        plain = phrase.sub(word, plain)
    for part in _PARTS.split(_ABOUT.split(plain, maxsplit=1)[0]):
        known = [lies for word in _WORD.findall(part) if (lies := _known(word)) is not None]
        if known:
            return known[-1]
    return None


def _known(word: str) -> bool | None:
    forms = {word, word.removesuffix("s"), word.removesuffix("es")}
    if forms & _OTHER_WORDS:
        return False
    return True if forms & _LYING_WORDS else None


@dataclass(frozen=True, slots=True)
class Lying:
    """That a product lies or hangs in its photo, whatever its outline says.

    Args:
        why: For a person.
        said: Whether a person has said so, so that nobody need be asked about it.
    """

    why: str
    said: bool


def lying(settings: Settings, sku: str, known: KnownProduct | None) -> Lying | None:
    """Whether a product lies or hangs in its photos: a person's word goes before the shop's.

    Args:
        known: What is known of it, if anything.
    """
    if settings.lies(sku):
        return Lying("LYING_SKUS names it", said=True)
    if known is None or settings.stands(sku):
        return None
    why = why_it_lies(
        category_id=known.category_id,
        category=known.category,
        product_type=known.product_type,
        title=known.title,
    )
    return None if why is None else Lying(why, said=False)
