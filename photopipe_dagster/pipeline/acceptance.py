"""Whether a picture can be taken for a stage's, anyone who made it: a provider, or an orchestrator.

Each function checks bytes and returns them as the stage stores them, with their facts.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photopipe_dagster.core.errors import (
    Billed,
    CompositeError,
    ErrorCode,
    PhotoRejectedError,
    ProviderError,
)
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.recipe import digest
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.composite import CutoutPicture, encode_jpeg
from photopipe_dagster.imaging.decode import MAX_PIXELS, decode_rgb, inspect
from photopipe_dagster.imaging.png import decode_cutout, encode_cutout
from photopipe_dagster.storage.pictures import OriginalFacts, PictureFacts

MIN_BACKGROUND_SIDE: Final = 256
"""Pixels. Smaller is no picture, but something that stands for one; unless one was ordered that is
less than twice as large."""

_BLANK: Final = 0.5
"""Standard deviation of lightness, levels of 255, below which a picture is of one colour. Seamless
paper, photographed or generated, has more than 1."""

_RATIO_TOLERANCE: Final = 0.02
"""A cut-out may be of another size than its photo, by rounding to a pixel; not of another shape."""

_JPEG_QUALITY: Final = 95


def accept_original(data: bytes, key: PhotoKey, settings: Settings) -> OriginalFacts:
    """See that bytes are the photo that was announced, and can be worked with.

    Raises:
        PhotoRejectedError: They are not, or cannot; says why.
    """
    true = digest(data)
    if not true.startswith(key.sha256):
        raise PhotoRejectedError(
            f"The photo is not the one that was announced: its sha256 begins {true[:12]}, "
            f"announced was {key.sha256[:12]}. Announce it again with its true sha256.",
            details={"announced": key.sha256, "true": true, "bytes": len(data)},
        )
    info = inspect(data, max_pixels=settings.image_max_pixels, min_side=settings.image_min_side)
    return OriginalFacts(
        width=info.width, height=info.height, format=info.format, content_type=info.content_type
    )


@dataclass(frozen=True, slots=True)
class AcceptedCutout:
    """A cut-out of use.

    Args:
        picture: Decoded.
        png: As it is stored: written so that it reads back fast.
    """

    picture: CutoutPicture
    png: bytes

    @property
    def facts(self) -> PictureFacts:
        """Its size."""
        return PictureFacts(width=self.picture.width, height=self.picture.height)


def accept_cutout(
    cutout: bytes | NDArray[np.uint8], photo: tuple[int, int], *, max_pixels: int = MAX_PIXELS
) -> AcceptedCutout:
    """See that a cut-out shows a product, and the whole photo; encode it once.

    Args:
        cutout: A PNG, or (height, width, 4) uint8, straight alpha, sRGB.
        photo: Width and height of the photo, pixels.

    Raises:
        ProviderError: It cannot be read, shows no product, or another part of the photo.
    """
    rgba = _read(cutout, max_pixels) if isinstance(cutout, bytes) else cutout
    height, width = rgba.shape[:2]
    if abs(width / height - photo[0] / photo[1]) > _RATIO_TOLERANCE * photo[0] / photo[1]:
        raise ProviderError(
            f"The cut-out is {width}×{height} pixels, the photo {photo[0]}×{photo[1]}: it must "
            "show the whole photo, neither cropped nor turned. Have it made again, or choose "
            "another provider.",
            billed=Billed.YES,
            code=ErrorCode.SEGMENTATION_ERROR,
        )
    if not rgba[..., 3].any():
        raise ProviderError(
            "The cut-out is empty: no product was found in the photo. Take the photo again, with "
            "the product in the middle and a plain ground.",
            billed=Billed.YES,
            code=ErrorCode.SEGMENTATION_ERROR,
        )
    return AcceptedCutout(CutoutPicture.from_rgba(rgba), encode_cutout(rgba))


def _read(cutout: bytes, max_pixels: int) -> NDArray[np.uint8]:
    try:
        return decode_cutout(cutout, max_pixels=max_pixels)
    except CompositeError as error:
        raise ProviderError(
            error.message, billed=Billed.YES, code=ErrorCode.SEGMENTATION_ERROR
        ) from error


def accept_jpeg(data: bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[bytes, PictureFacts]:
    """A picture as a JPEG, and its size: one that is a JPEG already stays verbatim.

    Raises:
        PhotoRejectedError: It cannot be read.
    """
    info = inspect(data, max_pixels=max_pixels)
    facts = PictureFacts(width=info.width, height=info.height)
    if info.content_type == "image/jpeg":
        return data, facts
    rgb = decode_rgb(data, max_pixels=max_pixels)
    return encode_jpeg(rgb, quality=_JPEG_QUALITY, full_colour=True), facts


def accept_background(data: bytes, asked: tuple[int, int]) -> tuple[bytes, PictureFacts]:
    """A background that was bought as a JPEG, and its size.

    Args:
        asked: Width and height that were ordered, pixels.

    Raises:
        ProviderError: BACKGROUND_ERROR, retryable: it is damaged, tiny, or of one colour.
    """
    try:
        jpeg, facts = accept_jpeg(data)
    except PhotoRejectedError as error:
        raise _useless(f"cannot be read ({error.message.rstrip('.')})") from error
    if min(facts.size) < min(MIN_BACKGROUND_SIDE, min(asked) / 2):
        raise _useless(f"has only {facts.width}×{facts.height} pixels")
    if _is_of_one_colour(jpeg):
        raise _useless("is of one colour")
    return jpeg, facts


def _useless(wrong: str) -> ProviderError:
    return ProviderError(
        f"The background that was delivered {wrong}. It is paid, and unusable. If this goes on, "
        "choose another provider.",
        billed=Billed.YES,
        code=ErrorCode.BACKGROUND_ERROR,
        retryable=True,
        service_down=True,  # where one after another is so
    )


def _is_of_one_colour(jpeg: bytes) -> bool:
    with Image.open(io.BytesIO(jpeg)) as picture:
        picture.draft("L", (64, 64))  # reads an eighth of the pixels a side
        return float(np.asarray(picture.convert("L"), np.float32).std()) < _BLANK
