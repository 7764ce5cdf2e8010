"""Whether a product lies or hangs in its photos, by what the shop says that it is.

A shirt that was photographed flat ends below in a straight edge, as a box does: its outline says
that it stands. The shop knows better. Its category in Shopify's standard taxonomy goes first, then
the merchant's own product type, then the title; the last two are read for English words.

The categories and words are those of ``flat_lay.toml``.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger.catalogue import KnownProduct

_TAXONOMY: Final = "gid://shopify/TaxonomyCategory/"

_DATA: Final = tomllib.loads(files(__package__).joinpath("flat_lay.toml").read_text("utf-8"))
"""The categories and words; the file says what each list is for."""

_LYING_CATEGORIES: Final = tuple(_DATA["categories"]["lying"])
_STANDING_CATEGORIES: Final = tuple(_DATA["categories"]["standing"])
_UNCATEGORIZED: Final = "na"

_LYING_WORDS: Final = frozenset(_DATA["words"]["lying"].split())
_OTHER_WORDS: Final = frozenset(_DATA["words"]["other"].split())
_PHRASES: Final = tuple((re.compile(text), word) for text, word in _DATA["phrases"].items())
_ABOUT: Final = re.compile(rf"(?<![\w-])(?:{'|'.join(_DATA['words']['about'].split())})(?![\w-])")

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
