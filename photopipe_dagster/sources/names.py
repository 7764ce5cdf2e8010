"""From the name of a file to the SKU of the product that it shows.

A name is a SKU or a barcode, and perhaps a view and a number after it: ``{sku}_{view}``,
``{sku}-{n}``, ``{sku}_{view}-{n}``, ``{sku} ({n})``. It is compared with what the shop has, letter
by letter: an exact match or none, the longest first. Where several SKUs are meant, none is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from unicodedata import normalize

from photopipe_dagster.ledger.catalogue import Catalogue

PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif"})
"""Suffixes of files that are taken for photos, in lower case."""

_COPY: Final = re.compile(r" ?\(\d{1,2}\)$")
_NUMBER: Final = re.compile(r"[-_]\d{1,2}$")
_VIEW: Final = re.compile(r"_[^_]+$")


@dataclass(frozen=True, slots=True)
class Match:
    """What a name says.

    Args:
        sku: As the shop has it; empty where the name does not say one.
        reason: Why it does not.
    """

    sku: str
    reason: str = ""


def match_names(catalogue: Catalogue, names: Sequence[str]) -> list[Match]:
    """The SKU that each name means.

    Args:
        names: Of files; folders before them, and a picture's suffix, do not count.
    """
    wanted = [_candidates(name) for name in names]
    known = catalogue.skus_named({text for texts in wanted for text in texts})
    return [_match(texts, known) for texts in wanted]


def _match(texts: list[str], known: dict[str, set[str]]) -> Match:
    for text in texts:
        meant = known.get(text, set())
        if len(meant) == 1:
            return Match(*meant)
        if meant:
            listed = ", ".join(map(repr, sorted(meant)))
            return Match("", f"The name means several SKUs: {listed}.")
    return Match("", "The name begins with no SKU and no barcode of the shop.")


def _candidates(name: str) -> list[str]:
    """What in a name may be a SKU or a barcode, the longest first, in normal form C."""
    path = PurePosixPath(normalize("NFC", name))
    stem = (path.stem if path.suffix.lower() in PICTURES else path.name).strip()
    plain = _COPY.sub("", stem)
    found = {stem, plain}
    for first, second in ((_NUMBER, _VIEW), (_VIEW, _NUMBER)):
        shorter = first.sub("", plain)
        found |= {shorter, second.sub("", shorter)}
    return sorted((text for text in found if text), key=len, reverse=True)
