"""What is done to the bytes on their way to Freepik and back.

Pure functions that take tens of milliseconds and more: callers run them in a thread. What is heavy
is imported where it is used: prices are asked of this provider without a picture in sight.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops, ImageStat

from photopipe_dagster.core.errors import Billed, ErrorCode, PhotoRejectedError, ProviderError
from photopipe_dagster.imaging.orientation import TURNS
from photopipe_dagster.providers.base import Original

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from photopipe_dagster.imaging.decode import PhotoInfo

MAX_INPUT_BYTES: Final = 20_000_000
"""Freepik takes "20 MB"; read the strict way."""

ACCEPTED: Final = frozenset({"image/jpeg", "image/png"})

MAX_RESULT_PIXELS: Final = 64_000_000

_ANY_PIXELS: Final = 1_000_000_000
"""Photos were accepted before; how large a result may be is said apart from whether it is whole."""

_QUALITIES: Final = (95, 90, 80)
_SAME_RATIO: Final = 0.02
"""How far, by factor, a ratio may be off from rounding to whole pixels."""

_SWAPPING: Final = frozenset(turn for orientation, turn in TURNS.items() if orientation >= 5)
"""Those that swap width and height."""

_THUMBNAIL: Final = (64, 64)
_THUMBNAIL_OF: Final = (256, 256)


def acceptable(original: Original) -> bool:
    """Whether Freepik takes the file as it is."""
    return original.content_type in ACCEPTED and len(original.data) <= MAX_INPUT_BYTES


def uploadable(original: Original) -> tuple[bytes, str]:
    """The photo as Freepik takes it: as it is if possible, else as an upright JPEG in sRGB,
    flattened on white, of the best quality that fits.

    Returns:
        Bytes and MIME type.

    Raises:
        PhotoRejectedError: It cannot be read, or does not fit at all.
    """
    if acceptable(original):
        return original.data, original.content_type
    from photopipe_dagster.imaging.decode import decode_rgb

    try:
        picture = Image.fromarray(decode_rgb(original.data, max_pixels=_ANY_PIXELS))
    except PhotoRejectedError as error:
        raise PhotoRejectedError(
            f"The photo cannot be read as a picture. {error.message}"
        ) from error
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, subsampling=0)
        if buffer.tell() <= MAX_INPUT_BYTES:
            return buffer.getvalue(), "image/jpeg"
    raise PhotoRejectedError(
        f"The photo has more than {MAX_INPUT_BYTES} bytes even as a JPEG of quality "
        f"{_QUALITIES[-1]}, the most that Freepik takes: send a smaller one."
    )


def displayed_cutout(
    data: bytes, original: Original
) -> tuple[bytes | NDArray[np.uint8], tuple[int, int]]:
    """A cut-out as it came, brought upright and to the displayed size of its original.

    Freepik makes at most 25 megapixels, and does not say whether it heeds EXIF orientation. In
    the usual case the bytes are passed on untouched.

    Returns:
        RGBA PNG, or (height, width, 4) uint8 where it had to be decoded, and the size in pixels in
        which it came.

    Raises:
        ProviderError: SEGMENTATION_ERROR, billed: no PNG, without alpha, or of another ratio.
    """
    code = ErrorCode.SEGMENTATION_ERROR
    described = _described(data, frozenset(("PNG",)), code)
    came = described.stored_size
    if not described.transparent:
        raise _unusable("a PNG without alpha", code)
    size = (original.width, original.height)
    turn = _turn(original.data)
    if turn is None and described.mode == "RGBA" and came == size:
        return data, came
    cutout = _decoded(data, code)
    if turn is not None and _lies(cutout, turn, original):
        cutout = cutout.transpose(turn)
    if not _alike(cutout.size, size):
        raise _unusable(f"{came[0]} × {came[1]} pixels for {size[0]} × {size[1]}", code)
    if cutout.size != size:
        cutout = cutout.resize(size, Image.Resampling.LANCZOS)
    import numpy as np

    return np.asarray(cutout, np.uint8), came


def background_type(data: bytes) -> tuple[str, tuple[int, int]]:
    """True MIME type and size in pixels of a background; addresses' suffixes are not to be trusted.

    Raises:
        ProviderError: BACKGROUND_ERROR, billed: neither PNG nor JPEG.
    """
    from photopipe_dagster.imaging.decode import inspect

    code, formats = ErrorCode.BACKGROUND_ERROR, frozenset(("PNG", "JPEG"))
    picture = _described(data, formats, code)
    try:
        inspect(data, max_pixels=MAX_RESULT_PIXELS)  # a JPEG has no checksums
    except PhotoRejectedError:
        raise _broken(data, formats, code) from None
    return picture.content_type, picture.stored_size


def _described(data: bytes, formats: frozenset[str], code: ErrorCode) -> PhotoInfo:
    """What a picture is whose checksums hold; its pixels are not decoded."""
    from photopipe_dagster.imaging.decode import describe

    try:
        picture = describe(data, max_pixels=_ANY_PIXELS)
    except PhotoRejectedError:
        raise _broken(data, formats, code) from None
    if picture.format not in formats:
        raise _broken(data, formats, code)
    if math.prod(picture.stored_size) > MAX_RESULT_PIXELS:
        raise _unusable(f"more than {MAX_RESULT_PIXELS} pixels", code)
    return picture


def _decoded(data: bytes, code: ErrorCode) -> Image.Image:
    from photopipe_dagster.imaging.decode import decode_image

    try:
        return decode_image(data, max_pixels=MAX_RESULT_PIXELS, upright=False).convert("RGBA")
    except PhotoRejectedError:
        raise _broken(data, frozenset(("PNG",)), code) from None


def _broken(data: bytes, formats: frozenset[str], code: ErrorCode) -> ProviderError:
    what = f"{len(data)} bytes that are no whole {' or '.join(sorted(formats, reverse=True))}"
    return _unusable(what, code, retryable=True)


def _unusable(what: str, code: ErrorCode, *, retryable: bool = False) -> ProviderError:
    return ProviderError(
        f"Freepik returned {what} instead of an image (probably billed). If this persists, check "
        f"the "
        "photo, or choose another provider.",
        billed=Billed.YES,
        code=code,
        retryable=retryable,
    )


def _turn(data: bytes) -> Image.Transpose | None:
    """What brings a stored picture upright, or ``None`` if it is."""
    from photopipe_dagster.imaging.decode import describe

    try:
        return TURNS.get(describe(data, max_pixels=_ANY_PIXELS).orientation)
    except PhotoRejectedError:
        return None  # only its looks were asked for; anyone who decodes it will say more


def _lies(cutout: Image.Image, turn: Image.Transpose, original: Original) -> bool:
    """Whether a cut-out is still as its original is stored, not as it is displayed.

    The size tells, unless both ways fit (half turns, mirrors, squares): then the pixels do.
    """
    size = (original.width, original.height)
    turned = cutout.size[::-1] if turn in _SWAPPING else cutout.size
    if not (_alike(cutout.size, size) and _alike(turned, size)):
        return _alike(turned, size)
    small = cutout.resize(_THUMBNAIL)
    from photopipe_dagster.imaging.decode import decode_rgb

    photo = decode_rgb(original.data, max_pixels=_ANY_PIXELS, cover=_THUMBNAIL_OF)
    upright = Image.fromarray(photo).resize(_THUMBNAIL)
    return _difference(small.transpose(turn), upright) < _difference(small, upright)


def _difference(cutout: Image.Image, picture: Image.Image) -> float:
    """Mean difference of colours where the cut-out shows any, 0 to 255."""
    alpha = cutout.getchannel("A")
    if alpha.getbbox() is None:
        return 0.0
    between = ImageChops.difference(cutout.convert("RGB"), picture)
    return sum(ImageStat.Stat(between, mask=alpha).mean) / 3


def _alike(size: tuple[int, int], other: tuple[int, int]) -> bool:
    ratio = (size[0] * other[1]) / (size[1] * other[0])
    return abs(math.log(ratio)) <= _SAME_RATIO
