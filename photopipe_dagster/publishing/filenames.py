"""The names of published files: the same picture, the same name, in every shop."""

from __future__ import annotations

import hashlib
import re
from typing import Final

_FILENAME: Final = re.compile(
    r"[a-z0-9-]+-[0-9a-f]{10}-[0-9a-f]{6,12}-[a-z0-9_-]+-[0-9]+-[0-9a-f]{12}\.jpg"
)
_DIGEST: Final = re.compile(r"[0-9a-f]{12,}")


def media_filename(sku: str, sha256: str, theme: str, variant: int, digest: str) -> str:
    """The name of a picture's file in a shop.

    Args:
        sku: Verbatim; readable in the name as far as it is plain, and exact in a hash of it.
        sha256: The original's SHA-256.
        theme: The theme's name.
        variant: Which of several backgrounds, from 1.
        digest: Lower-case hex digest of the composite's bytes or recipe, at least 12 digits:
            another composite is another file.

    Returns:
        Lower-case ASCII letters, digits, ``-``, ``_`` and one ``.jpg``; at most 180 characters.

    Raises:
        ValueError: ``digest`` is no such digest.
    """
    if not _DIGEST.fullmatch(digest):
        raise ValueError("digest must have at least 12 lower-case hexadecimal digits")
    slug = re.sub(r"[^a-z0-9]+", "-", sku.lower()).strip("-")[:48].strip("-") or "sku"
    exact = hashlib.sha256(sku.encode()).hexdigest()[:10]
    return f"{slug}-{exact}-{sha256[:12]}-{theme}-{variant}-{digest[:12]}.jpg"


def is_media_filename(filename: str) -> bool:
    """Whether a name looks like one of `media_filename`."""
    return _FILENAME.fullmatch(filename) is not None
