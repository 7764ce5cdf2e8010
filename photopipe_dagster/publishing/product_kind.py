"""What a product is, by what the shop says of it: whether it lies in its photos, and its size.

A shirt that was photographed flat ends below in a straight edge, as a box does: its outline says
that it stands; and no outline says that an armchair is not for a kitchen counter. The shop knows
better. A product's category in Shopify's standard taxonomy goes first, then the merchant's own
product type, then the title; the last two are read for English words.

The kinds with their categories and words are those of ``product_kinds.toml``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from photopipe_dagster.ledger.catalogue import KnownProduct
from photopipe_dagster.quality.gates import kind_to_look_at, wrong_size
from photopipe_dagster.quality.results import Measure
from photopipe_dagster.themes.model import Size, Theme

_TAXONOMY: Final = "gid://shopify/TaxonomyCategory/"
_UNCATEGORIZED: Final = "na"

_DATA: Final = tomllib.loads(files(__package__).joinpath("product_kinds.toml").read_text("utf-8"))
"""The kinds, categories and words; the file says what each is for."""


@dataclass(frozen=True, slots=True)
class ProductKind:
    """A kind of product.

    Args:
        name: As the file has it.
        flat_lay: Whether it lies or hangs in its photos.
        size: How large it is in life; ``None`` where that decides nothing.
        doubt: Why a person looks at each of them; empty where none need.
    """

    name: str
    flat_lay: bool = False
    size: Size | None = None
    doubt: str = ""


_KINDS: Final = {
    name: ProductKind(
        name,
        entry.get("flat_lay", False),
        Size(entry["size"]) if "size" in entry else None,
        entry.get("doubt", ""),
    )
    for name, entry in _DATA["kinds"].items()
}
_OTHER: Final = _KINDS["other"]
"""What is known to be none of the other kinds."""

_CATEGORIES: Final = {
    category: _KINDS[name]
    for name, entry in _DATA["kinds"].items()
    for category in entry.get("categories", ())
}
_WORDS: Final = {
    word: _KINDS[name] for name, entry in _DATA["kinds"].items() for word in entry["words"].split()
}
_LAST_WORDS: Final = {
    word: _KINDS[name]
    for name, entry in _DATA["kinds"].items()
    for word in entry.get("last_words", "").split()
}
_SMALL: Final = frozenset(_DATA["words"]["small"].split())
_PHRASES: Final = tuple((re.compile(text), word) for text, word in _DATA["phrases"].items())
_ABOUT: Final = re.compile(rf"(?<![\w-])(?:{'|'.join(_DATA['words']['about'].split())})(?![\w-])")
_ACCESSORIES: Final = re.compile(_DATA["accessories"]["pattern"])

_PARTS: Final = re.compile(r"[,;:|/()\[\]•–—]|\s-\s")
"""Between the parts of a title."""

_WORD: Final = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Told:
    """What a product is said to be.

    Args:
        why: What says so, for a person.
    """

    kind: ProductKind
    why: str


def what_it_is(
    *, category_id: str | None, category: str | None, product_type: str | None, title: str | None
) -> Told | None:
    """What kind of product it is; ``None`` if nothing says so.

    The first of them that says what the product is decides.

    Args:
        category_id: ``gid://shopify/TaxonomyCategory/…``.
        category: Its full name, ``… > … > …``.
        product_type: The merchant's own word for its kind.
        title: Its name in the shop.
    """
    kind = _by_category(category_id, category or "")
    if kind is not None:
        return Told(kind, f"its category is {category or category_id}")
    for name, text in (("product type", product_type), ("title", title)):
        kind = _by_words(text or "")
        if kind is not None:
            return Told(kind, f"its {name} is {text}")
    return None


def misfit(theme: Theme, known: KnownProduct | None) -> Measure | None:
    """That a product is too large for what a theme shows it on; ``None`` if it is not known to be.

    Args:
        known: What is known of it, if anything.
    """
    told = None if known is None else told_of(known)
    if told is None or told.kind.size is None or told.kind.size in theme.fits:
        return None
    return wrong_size(told.kind.size, theme.fits, told.why)


def doubtful_kind(known: KnownProduct | None) -> Measure | None:
    """That a product is of a kind whose cut-outs a person looks at; ``None`` if it is not.

    Args:
        known: What is known of it, if anything.
    """
    told = None if known is None else told_of(known)
    if told is None or not told.kind.doubt:
        return None
    return kind_to_look_at(told.kind.name, told.kind.doubt, told.why)


def told_of(known: KnownProduct) -> Told | None:
    """What the shop says that a known product is."""
    return what_it_is(
        category_id=known.category_id,
        category=known.category,
        product_type=known.product_type,
        title=known.title,
    )


def kind_of(known: KnownProduct) -> str | None:
    """The name of a known product's kind; ``None`` if nothing says what it is."""
    told = told_of(known)
    return None if told is None else told.kind.name


def _by_category(gid: str | None, name: str) -> ProductKind | None:
    """The kind of what is in a category; ``None`` if it is too wide to tell, or there is none."""
    if gid is None or not gid.startswith(_TAXONOMY):
        return None
    short = gid.removeprefix(_TAXONOMY)
    kind = _nearest(short)
    if kind is None:
        if short == _UNCATEGORIZED or any(each.startswith(f"{short}-") for each in _CATEGORIES):
            return None
        # Elsewhere in the taxonomy are a few textiles, such as cleaning cloths and baby blankets,
        # and large things, such as bicycles.
        kind = _by_words(name.rpartition(">")[2]) or _OTHER
    return _OTHER if kind.size is not None and _ACCESSORIES.search(name) else kind


def _nearest(category: str) -> ProductKind | None:
    """The kind of a category, or of the nearest one above it that has a kind."""
    while category and category not in _CATEGORIES:
        category = category.rpartition("-")[0]
    return _CATEGORIES.get(category)


def _by_words(text: str) -> ProductKind | None:
    """The kind that a text names; ``None`` if it names nothing that is known.

    In English the last noun is the thing: a *shirt box* is a box, and a *leopard print dress* is a
    dress. So the last known word counts, of the first part of the text that has one.
    """
    plain = text.casefold()
    for phrase, word in _PHRASES:
        plain = phrase.sub(word, plain)
    for part in _PARTS.split(_ABOUT.split(plain, maxsplit=1)[0]):
        words = _WORD.findall(part)
        found = [_known(word, _WORDS) for word in words]
        if words and found[-1] is None:
            found[-1] = _known(words[-1], _LAST_WORDS)
        known = [kind for kind in found if kind is not None]
        if known:
            small = not _SMALL.isdisjoint(form for word in words for form in _forms(word))
            return _OTHER if known[-1].size is not None and small else known[-1]
    return None


def _known(word: str, among: Mapping[str, ProductKind]) -> ProductKind | None:
    kinds = [among[form] for form in _forms(word) if form in among]
    return _OTHER if _OTHER in kinds else next(iter(kinds), None)


def _forms(word: str) -> tuple[str, str, str]:
    """A word, and what its singular may be."""
    return word, word.removesuffix("s"), word.removesuffix("es")
