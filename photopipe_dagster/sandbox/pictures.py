"""Cheap, honest pictures: what the stand-ins make unless better painters are given."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageFilter, ImageOps, UnidentifiedImageError

_CLEAR: Final = 24.0
"""Colour distance (0 to 442, in sRGB) up to which a pixel is ground."""

_SOLID: Final = 64.0
"""Colour distance from which a pixel is product."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a picture file is, read from its bytes.

    Args:
        content_type: True MIME type.
        width: Pixels, as displayed.
        height: Pixels, as displayed.
    """

    content_type: str
    width: int
    height: int


class NotAPicture(Exception):  # noqa: N818
    """The bytes are no picture, or only a part of one."""


def look(data: bytes, *, whole: bool = False) -> Facts:
    """Read type and size of a picture.

    Args:
        whole: Decode it, so that a truncated file is noticed.

    Raises:
        NotAPicture: It cannot be read.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            content_type = Image.MIME.get(image.format or "", "application/octet-stream")
            width, height = image.size
            if image.getexif().get(0x0112, 1) >= 5:
                width, height = height, width
            if whole:
                image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise NotAPicture(str(type(error).__name__)) from error
    return Facts(content_type, width, height)


def border_cut_out(data: bytes) -> bytes:
    """Cut out what differs in colour from the picture's border.

    Good for a product on a plain ground, and no substitute for a model.

    Returns:
        RGBA PNG of the displayed size; alpha rises with the colour's distance from the median of
        the border, softened by one pixel.
    """
    with Image.open(io.BytesIO(data)) as opened:
        image = ImageOps.exif_transpose(opened)
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow would clip to white
        image = Image.fromarray((np.asarray(image, np.uint32) >> 8).astype(np.uint8))
    image = image.convert("RGB")
    pixels = np.asarray(image, dtype=np.float32)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    beside = pixels - np.median(border, axis=0)
    distance = np.sqrt(np.einsum("ijk,ijk->ij", beside, beside))
    alpha = np.clip((distance - _CLEAR) / (_SOLID - _CLEAR), 0.0, 1.0) * 255.0
    mask = Image.fromarray(alpha.astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    image.putalpha(mask)
    return encode(image, "PNG")


def gradient(prompt: str, width: int, height: int) -> Image.Image:
    """Paint a smooth gradient in two colours that follow from the prompt.

    Returns:
        RGB picture of that size, lighter at the top.
    """
    digest = hashlib.sha256(prompt.encode()).digest()
    wall = 150.0 + np.frombuffer(digest[:3], np.uint8).astype(np.float32) % 90
    floor = 70.0 + np.frombuffer(digest[3:6], np.uint8).astype(np.float32) % 90
    down = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None, None]
    across = np.linspace(-12.0, 12.0, width, dtype=np.float32)[None, :, None]
    pixels = np.clip(wall * (1 - down) + floor * down + across, 0, 255)
    return Image.fromarray(pixels.astype(np.uint8))


def encode(image: Image.Image, kind: str) -> bytes:
    """Encode as ``PNG`` (quickly) or ``JPEG`` (quality 90)."""
    buffer = io.BytesIO()
    if kind == "PNG":
        image.save(buffer, "PNG", compress_level=1)
    else:
        image.convert("RGB").save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def shrink(png: bytes, max_pixels: int) -> bytes:
    """A PNG with at most so many pixels; the same bytes if it is small enough already."""
    with Image.open(io.BytesIO(png)) as image:
        width, height = image.size
        if width * height <= max_pixels:
            return png
        factor = (max_pixels / (width * height)) ** 0.5
        size = (max(1, int(width * factor)), max(1, int(height * factor)))
        return encode(image.resize(size, Image.Resampling.BILINEAR), "PNG")
