"""Small pictures, made once and kept in a folder that does not grow without end."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.core.atomic_file import replace_file
from photopipe_dagster.imaging.thumbnail import small_picture

WIDTHS: Final = (160, 320, 640, 1280)
"""Pixels, the longer side; others are rounded up to one of these."""

_SLOTS: Final = 16_384
"""Files in the folder at most: about 500 MB."""

_QUALITY: Final = 82
_DIGEST_BYTES: Final = 32


class Thumbnails:
    """A cache of small JPEGs: each name has one slot, and anyone who comes later takes it over.

    Args:
        folder: Where they are kept; made when first needed, and safe to delete.
        at_once: Pictures that are decoded at the same time.
    """

    def __init__(self, folder: Path, at_once: int) -> None:
        self._folder = folder
        self._room = threading.BoundedSemaphore(at_once)

    def get(
        self, name: str, width: int, read: Callable[[], bytes | NDArray[np.uint8] | None]
    ) -> bytes | None:
        """A small JPEG of a picture; transparency is shown on a checkerboard.

        Args:
            name: Of this version of the picture.
            width: One of `WIDTHS`, pixels of the longer side.
            read: The picture, a file or pixels, where it is not in the cache; ``None`` if there
                is none.

        Returns:
            A JPEG; ``None`` if there is no picture.

        Raises:
            PhotoRejectedError: The picture cannot be read.
        """
        digest = hashlib.sha256(f"{name}\n{width}".encode()).digest()
        slot = self._folder / f"{int.from_bytes(digest[:4]) % _SLOTS:05d}.jpg"
        kept = _read(slot)
        if kept[:_DIGEST_BYTES] == digest:
            return kept[_DIGEST_BYTES:]
        with self._room:
            picture = read()
            if picture is None:
                return None
            file = io.BytesIO()
            small = small_picture(picture, (width, width), checker=max(4, width // 40))
            small.save(file, "JPEG", quality=_QUALITY, optimize=True, progressive=True)
        replace_file(slot, digest + file.getvalue())
        return file.getvalue()


def next_width(width: int) -> int:
    """The width that is served where this one is asked for."""
    return next((each for each in WIDTHS if each >= width), WIDTHS[-1])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
