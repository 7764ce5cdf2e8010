"""Looking at what providers cut out."""

from __future__ import annotations

import io

from PIL import Image

from photopipe_dagster.providers.base import Cutout


def image_of(cutout: Cutout) -> Image.Image:
    """A cut-out as an image, whichever way its provider delivered it."""
    if isinstance(cutout.picture, bytes):
        return Image.open(io.BytesIO(cutout.picture))
    return Image.fromarray(cutout.picture)
