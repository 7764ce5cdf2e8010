"""Cheap, honest pictures: what the simulators make unless better painters are given."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

_codec: Any
try:
    from isal import isal_zlib as _codec
except ImportError:  # no wheel for this platform: the same pictures, written more slowly
    _codec = zlib

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_FILTER_SUB: Final = 1

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


class NotAPictureError(Exception):
    """The bytes are no picture, or only a part of one."""


def look(data: bytes, *, whole: bool = False) -> Facts:
    """Read type and size of a picture.

    Args:
        whole: Decode it, so that a truncated file is noticed.

    Raises:
        NotAPictureError: It cannot be read.
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
        raise NotAPictureError(str(type(error).__name__)) from error
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
    pixels = np.asarray(image.convert("RGB"))
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    ground = np.rint(np.median(border, axis=0))
    beside = cv2.absdiff(pixels, np.append(ground, 0.0))  # four numbers, as OpenCV's scalars have
    squares = cv2.multiply(beside, beside, dtype=cv2.CV_32F)
    distance = cv2.sqrt(cv2.transform(squares, np.ones((1, 3), np.float32)))
    alpha = np.clip((distance - _CLEAR) * (255.0 / (_SOLID - _CLEAR)), 0, 255).astype(np.uint8)
    return _png(np.dstack([pixels, cv2.GaussianBlur(alpha, (0, 0), 1)]))


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
    if kind == "PNG":
        return _png(np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB")))
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """A plain PNG of (height, width, 3 or 4) uint8: what a service sends, for any reader."""
    height, width, channels = pixels.shape
    rows = np.empty((height, 1 + width * channels), np.uint8)
    rows[:, 0] = _FILTER_SUB
    flat = pixels.reshape(height, -1)
    rows[:, 1 : 1 + channels] = flat[:, :channels]
    np.subtract(flat[:, channels:], flat[:, :-channels], out=rows[:, 1 + channels :])
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 6, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", _codec.compress(rows.data, 1)), (b"IEND", b""))
    return _PNG_SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )


def shrink(png: bytes, max_pixels: int) -> bytes:
    """A PNG with at most so many pixels; the same bytes if it is small enough already."""
    with Image.open(io.BytesIO(png)) as image:
        width, height = image.size
        if width * height <= max_pixels:
            return png
        factor = (max_pixels / (width * height)) ** 0.5
        size = (max(1, int(width * factor)), max(1, int(height * factor)))
        return encode(image.resize(size, Image.Resampling.BILINEAR), "PNG")
