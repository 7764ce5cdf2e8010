"""What is done to the bytes on their way to a service and back.

Pure functions that take tens of milliseconds and more: callers run them in a thread. What is heavy
is imported where it is used: prices are asked of a provider without a picture in sight.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops, ImageStat

from photopipe_dagster.core.errors import Billed, ErrorCode, PhotoRejectedError, ProviderError
from photopipe_dagster.imaging.orientation import TURNS
from photopipe_dagster.providers.base import Original

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from photopipe_dagster.imaging.decode import PhotoInfo

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


@dataclass(frozen=True, slots=True)
class InputLimits:
    """What a service takes of a photo.

    Args:
        service: As people call it.
        bytes: At most.
        pixels: Width times height, at most; ``None``: any. A larger photo is sent smaller.
        side: Pixels, of the shorter side at least.
        formats: MIME types.
    """

    service: str
    bytes: int
    pixels: int | None = None
    side: int = 1
    formats: frozenset[str] = frozenset({"image/jpeg", "image/png"})


def acceptable(original: Original, limits: InputLimits) -> bool:
    """Whether a service takes the file as it is."""
    fits = limits.pixels is None or original.width * original.height <= limits.pixels
    return fits and original.content_type in limits.formats and len(original.data) <= limits.bytes


def uploadable(original: Original, limits: InputLimits) -> tuple[bytes, str]:
    """The photo as a service takes it: as it is if possible, else as an upright JPEG in sRGB,
    flattened on white, of the best quality and of the most pixels that fit.

    Returns:
        Bytes and MIME type.

    Raises:
        PhotoRejectedError: It cannot be read, or does not fit at all.
    """
    if min(original.width, original.height) < limits.side:
        raise PhotoRejectedError(
            f"The photo is {original.width} × {original.height} pixels; {limits.service} takes "
            f"none with a side of less than {limits.side}: send a larger one."
        )
    if acceptable(original, limits):
        return original.data, original.content_type
    from photopipe_dagster.imaging.decode import decode_rgb

    try:
        picture = Image.fromarray(decode_rgb(original.data, max_pixels=_ANY_PIXELS))
    except PhotoRejectedError as error:
        raise PhotoRejectedError(
            f"The photo cannot be read as a picture. {error.message}"
        ) from error
    if limits.pixels is not None and math.prod(picture.size) > limits.pixels:
        scale = math.sqrt(limits.pixels / math.prod(picture.size))
        smaller = [max(1, int(side * scale)) for side in picture.size]
        picture = picture.resize((smaller[0], smaller[1]), Image.Resampling.LANCZOS)
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, subsampling=0)
        if buffer.tell() <= limits.bytes:
            return buffer.getvalue(), "image/jpeg"
    raise PhotoRejectedError(
        f"The photo has more than {limits.bytes} bytes even as a JPEG of quality "
        f"{_QUALITIES[-1]}, the most that {limits.service} takes: send a smaller one."
    )


def displayed_cutout(
    data: bytes, original: Original, service: str
) -> tuple[bytes | NDArray[np.uint8], tuple[int, int]]:
    """A cut-out as it came, brought upright and to the displayed size of its original.

    Services make so many megapixels at most, and few say whether they heed EXIF orientation. In the
    usual case the bytes are passed on untouched. One that came smaller gets the photo's own pixels
    where it shows the product alone.

    Returns:
        RGBA PNG, or (height, width, 4) uint8 where it had to be decoded, and the size in pixels in
        which it came.

    Raises:
        ProviderError: SEGMENTATION_ERROR, billed: no PNG, without alpha, or of another ratio.
    """
    code = ErrorCode.SEGMENTATION_ERROR
    described = _described(data, frozenset(("PNG",)), code, service)
    came = described.stored_size
    if not described.transparent:
        raise _unusable("a PNG without alpha", code, service)
    size = (original.width, original.height)
    turn = _turn(original.data)
    if turn is None and described.mode == "RGBA" and came == size:
        return data, came
    cutout = _decoded(data, code, service)
    if turn is not None and _lies(cutout, turn, original):
        cutout = cutout.transpose(turn)
    if not _alike(cutout.size, size):
        raise _unusable(f"{came[0]} × {came[1]} pixels for {size[0]} × {size[1]}", code, service)
    if cutout.size != size:
        cutout = cutout.resize(size, Image.Resampling.LANCZOS)
    import numpy as np

    rgba = np.asarray(cutout, np.uint8)
    return (_sharp(rgba, original) if math.prod(came) < math.prod(size) else rgba), came


def background_type(data: bytes, service: str) -> tuple[str, tuple[int, int]]:
    """True MIME type and size in pixels of a background; addresses' suffixes are not to be trusted.

    Raises:
        ProviderError: BACKGROUND_ERROR, billed: neither PNG nor JPEG.
    """
    from photopipe_dagster.imaging.decode import inspect

    code, formats = ErrorCode.BACKGROUND_ERROR, frozenset(("PNG", "JPEG"))
    picture = _described(data, formats, code, service)
    try:
        inspect(data, max_pixels=MAX_RESULT_PIXELS)  # a JPEG has no checksums
    except PhotoRejectedError:
        raise _broken(data, formats, code, service) from None
    return picture.content_type, picture.stored_size


def _described(data: bytes, formats: frozenset[str], code: ErrorCode, service: str) -> PhotoInfo:
    """What a picture is whose checksums hold; its pixels are not decoded."""
    from photopipe_dagster.imaging.decode import describe

    try:
        picture = describe(data, max_pixels=_ANY_PIXELS)
    except PhotoRejectedError:
        raise _broken(data, formats, code, service) from None
    if picture.format not in formats:
        raise _broken(data, formats, code, service)
    if math.prod(picture.stored_size) > MAX_RESULT_PIXELS:
        raise _unusable(f"more than {MAX_RESULT_PIXELS} pixels", code, service)
    return picture


def _decoded(data: bytes, code: ErrorCode, service: str) -> Image.Image:
    from photopipe_dagster.imaging.decode import decode_image

    try:
        return decode_image(data, max_pixels=MAX_RESULT_PIXELS, upright=False).convert("RGBA")
    except PhotoRejectedError:
        raise _broken(data, frozenset(("PNG",)), code, service) from None


def _broken(data: bytes, formats: frozenset[str], code: ErrorCode, service: str) -> ProviderError:
    what = f"{len(data)} bytes that are no whole {' or '.join(sorted(formats, reverse=True))}"
    return _unusable(what, code, service, retryable=True)


def _unusable(
    what: str, code: ErrorCode, service: str, *, retryable: bool = False
) -> ProviderError:
    return ProviderError(
        f"{service} returned {what} instead of an image (probably billed). If this persists, check "
        "the photo, or choose another provider.",
        billed=Billed.YES,
        code=code,
        retryable=retryable,
    )


def _sharp(rgba: NDArray[np.uint8], original: Original) -> NDArray[np.uint8]:
    """A cut-out that was enlarged, with the photo's own pixels where it is opaque."""
    import numpy as np

    from photopipe_dagster.imaging.decode import decode_rgb

    rgb = decode_rgb(original.data, max_pixels=_ANY_PIXELS)
    opaque = rgba[..., 3:] == 255
    return np.dstack([np.where(opaque, rgb, rgba[..., :3]), rgba[..., 3]])


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
