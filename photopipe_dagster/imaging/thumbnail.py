"""Small pictures as data URIs, for places that show Markdown but no files."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.imaging.decode import decode_image

MAX_CHARACTERS = 6_000
"""Of a data URI: the event log keeps it for ever."""

_MAX_PIXELS = 178_956_970
"""As Pillow refuses by itself: whatever `IMAGE_MAX_PIXELS` has let in can be shown."""

_LIGHT, _DARK = 255, 218


def thumbnail_data_uri(picture: bytes | NDArray[np.uint8], side: int = 160) -> str:
    """Make a small WebP of a picture, as a data URI.

    Args:
        picture: A file (JPEG, PNG, WebP), or pixels: (height, width, 3) or (height, width, 4)
            uint8, sRGB, straight alpha. Transparency is shown on a checkerboard.
        side: The longer side, pixels; pictures are never enlarged.

    Returns:
        ``data:image/webp;base64,…`` of at most `MAX_CHARACTERS` characters; a picture that is too
        busy for that is written coarser, and then smaller.

    Raises:
        PhotoRejectedError: The file cannot be read.
    """
    small = small_picture(picture, (side, side))
    for quality in (75, 60, 45):
        uri = _data_uri(small, quality)
        if len(uri) <= MAX_CHARACTERS:
            return uri
    while len(uri) > MAX_CHARACTERS:
        small = small.resize((max(1, small.width * 3 // 4), max(1, small.height * 3 // 4)))
        uri = _data_uri(small, 45)
    return uri


def small_picture(
    picture: bytes | NDArray[np.uint8], room: tuple[int, int], checker: int = 8
) -> Image.Image:
    """Shrink a picture into a room, and lay transparency on a checkerboard.

    Args:
        picture: As `thumbnail_data_uri`.
        room: Width and height, pixels.
        checker: Pixels of a square of the checkerboard.

    Returns:
        An RGB picture that touches two sides of the room, or is as small as it came.

    Raises:
        PhotoRejectedError: The file cannot be read.
    """
    image = _opened(picture, room) if isinstance(picture, bytes) else Image.fromarray(picture)
    image.thumbnail(room, Image.Resampling.LANCZOS, reducing_gap=1.5)
    if image.mode == "RGBA":
        board = checkerboard(image.width, image.height, checker)
        board.paste(image, mask=image.getchannel("A"))
        return board
    return image


def checkerboard(width: int, height: int, square: int) -> Image.Image:
    """The pattern that stands for transparency; RGB."""
    rows, columns = np.arange(height)[:, None] // square, np.arange(width)[None, :] // square
    grey = np.where((rows + columns) % 2, _DARK, _LIGHT).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _opened(data: bytes, room: tuple[int, int]) -> Image.Image:
    try:
        # Twice the room, so that the shrinking after it is still a good one.
        return decode_image(data, max_pixels=_MAX_PIXELS, cover=(room[0] * 2, room[1] * 2))
    except PhotoRejectedError as error:
        raise PhotoRejectedError("The picture cannot be shown: its file is damaged.") from error


def _data_uri(image: Image.Image, quality: int) -> str:
    file = io.BytesIO()
    image.save(file, "WEBP", quality=quality)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
