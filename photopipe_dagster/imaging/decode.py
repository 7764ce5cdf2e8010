"""Photos read from bytes: what they are, whether they are whole, and their pixels in sRGB.

Nothing that arrives from outside is trusted: the size is read from the header before a pixel is
decoded, and a picture counts as whole only after all of it was.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from photopipe_dagster.core.errors import PhotoRejectedError

MAX_PIXELS = 64_000_000
"""What a picture may have unless the caller says otherwise: about 200 MB decoded."""

_CONTENT_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_WHAT_TO_SEND = "send the photo as JPEG, PNG or WebP"

# Pillow's parsers raise all of these on malformed files; none of them means a fault of ours.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    ArithmeticError,
    LookupError,
    TypeError,
    struct.error,
    zlib.error,
    cv2.error,
)

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""A JPEG marker that ends entropy-coded data: neither a stuffed byte, a fill byte nor a restart."""


@dataclass(frozen=True, slots=True)
class PhotoInfo:
    """What a file is.

    Args:
        width: Pixels, as displayed (EXIF orientation applied).
        height: Pixels, as displayed.
        format: ``JPEG``, ``PNG`` or ``WEBP``.
        content_type: The MIME type of that format.
        orientation: The EXIF orientation, 1 to 8; 1 where there is none or it means nothing.
        mode: Pillow's name for the stored pixels, such as ``RGB``, ``CMYK`` or ``I;16``.
        has_icc: Whether a colour profile is embedded.
        frames: Always 1 for an accepted photo; a phone's extra pictures (MPO) do not count.
    """

    width: int
    height: int
    format: str
    content_type: str
    orientation: int
    mode: str
    has_icc: bool
    frames: int


def inspect(data: bytes, *, max_pixels: int = MAX_PIXELS, min_side: int = 1) -> PhotoInfo:
    """Say what a photo is, after having decoded all of it once.

    Args:
        data: The file.
        max_pixels: More pixels are rejected from the header alone, before any is decoded.
        min_side: The least pixels of the shorter side.

    Raises:
        PhotoRejectedError: The file is no photo, of a format that is not read, animated, damaged,
            cut short, too large or too small; the message says which and what to do.
    """
    image, info = _open(data, max_pixels=max_pixels, min_side=min_side)
    _load(image, info, data)
    return info


def decode_rgb(
    data: bytes, *, max_pixels: int = MAX_PIXELS, cover: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """Decode a picture as it is displayed.

    EXIF orientation is applied, a colour profile is converted to sRGB where it is another, CMYK,
    palettes, grey and 16-bit pictures become RGB, and transparency is laid on white.

    Args:
        data: The file.
        max_pixels: More pixels are rejected from the header alone.
        cover: Width and height that the caller will shrink the picture to. A JPEG may then be
            decoded at 1/2, 1/4 or 1/8 of its size, never below these, in a fraction of the time.

    Returns:
        (height, width, 3) uint8, sRGB, contiguous and writable.

    Raises:
        PhotoRejectedError: As `inspect`.
    """
    image, info = _open(data, max_pixels=max_pixels, min_side=1)
    return _displayed(image, info, _load(image, info, data, cover))


def srgb_image(image: Image.Image) -> Image.Image:
    """Convert a loaded picture to 8-bit sRGB, with alpha where it has any transparency.

    Args:
        image: Any mode that Pillow reads; its embedded profile is in ``image.info``.

    Returns:
        A picture of mode ``RGB`` or ``RGBA``; the same object where nothing is to be done.
    """
    transparent = image.has_transparency_data
    icc = image.info.get("icc_profile")
    if image.mode.startswith("I"):
        image = _eight_bit_grey(image)
    if image.mode == "CMYK" or image.mode == "L":
        # A profile describes these stored channels, so it is used before they become RGB.
        converted = _through_profile(image, icc) if icc else None
        if converted is not None and not transparent:
            return converted
    target = "RGBA" if transparent else "RGB"
    if image.mode != target:
        image = image.convert(target)
    if not icc:
        return image
    if not transparent:
        return _through_profile(image, icc) or image
    colours = _through_profile(image.convert("RGB"), icc)
    if colours is None:
        return image
    colours.putalpha(image.getchannel("A"))
    return colours


def _open(data: bytes, *, max_pixels: int, min_side: int) -> tuple[Image.Image, PhotoInfo]:
    """Read the header, and reject what need not be decoded to be rejected."""
    _reject_other_formats(data)
    try:
        image = Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP"))
        frames = 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PhotoRejectedError(
            f"The photo has more than the {max_pixels:,} pixels that are accepted; "
            "send it smaller.",
        ) from error
    except _DAMAGED as error:
        raise PhotoRejectedError(
            "The photo's header is damaged or declares no pixels; export it again from its "
            f"source and {_WHAT_TO_SEND}.",
        ) from error
    name = "JPEG" if image.format == "MPO" else str(image.format)
    width, height = image.size
    if width * height > max_pixels:
        raise PhotoRejectedError(
            f"The photo has {width} × {height} = {width * height:,} pixels; at most "
            f"{max_pixels:,} are accepted. Send it smaller.",
            details={"width": width, "height": height, "max_pixels": max_pixels},
        )
    if min(width, height) < min_side:
        raise PhotoRejectedError(
            f"The photo has only {width} × {height} pixels; each side needs at least "
            f"{min_side}. Send a larger one.",
            details={"width": width, "height": height, "min_side": min_side},
        )
    if frames > 1:
        raise PhotoRejectedError(
            f"The {name} is an animation of {frames} frames; send one still picture.",
            details={"frames": frames},
        )
    orientation = _orientation(image)
    if orientation >= 5:
        width, height = height, width
    return image, PhotoInfo(
        width=width,
        height=height,
        format=name,
        content_type=_CONTENT_TYPES[name],
        orientation=orientation,
        mode=image.mode,
        has_icc=bool(image.info.get("icc_profile")),
        frames=frames,
    )


def _reject_other_formats(data: bytes) -> None:
    """Name what the file is instead of a photo, so that its sender knows what to change."""
    if data[:3] == b"\xff\xd8\xff" or data[:8] == b"\x89PNG\r\n\x1a\n":
        return
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return
    found = _name_of_other_format(data)
    if found is None:
        raise PhotoRejectedError(f"The file is no picture that can be read; {_WHAT_TO_SEND}.")
    raise PhotoRejectedError(f"The file is {found}, not a photo that can be read; {_WHAT_TO_SEND}.")


def _name_of_other_format(data: bytes) -> str | None:
    if not data:
        return "empty"
    if data[4:8] == b"ftyp":
        return "AVIF" if data[8:12] in (b"avif", b"avis") else "HEIC or a video"
    text = data[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for start, name in (
        (b"gif8", "a GIF"),
        (b"ii*\0", "a TIFF or a camera's raw file"),
        (b"mm\0*", "a TIFF or a camera's raw file"),
        (b"bm", "a BMP"),
        (b"8bps", "a Photoshop document"),
        (b"%pdf", "a PDF"),
        (b"<svg", "an SVG drawing"),
        (b"<?xml", "XML (an error page of the source, or an SVG)"),
        (b"<", "a web page (the source may have answered with a login or an error)"),
        (b"{", "JSON (the source may have answered with an error)"),
    ):
        if text.startswith(start):
            return name
    return None


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(0x0112, 1)
    except _DAMAGED:
        return 1  # unreadable EXIF takes nothing from the pixels
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _load(
    image: Image.Image, info: PhotoInfo, data: bytes, cover: tuple[int, int] | None = None
) -> NDArray[np.uint8] | None:
    """Decode every pixel. Plain JPEGs come back as an array; the rest is loaded into `image`."""
    try:
        if info.format == "JPEG":
            end = _jpeg_end(data)
            pixels = _load_jpeg(image, info, data, cover) if end else None
            if end is None or (info.mode == "RGB" and pixels is None):
                raise PhotoRejectedError(
                    "The JPEG ends before its picture does: it was not transferred in full. "
                    "Send it again.",
                )
            if _lacks_data(pixels if pixels is not None else np.asarray(image), info, data, end):
                raise PhotoRejectedError(
                    "Part of the JPEG's picture is missing (its lower part is blank); export it "
                    "again from its source.",
                )
            return pixels
        image.load()
    except _DAMAGED as error:
        raise PhotoRejectedError(
            f"The {info.format} is damaged or cut short: not all of its picture can be decoded. "
            "Send it again, or export it again from its source.",
        ) from error
    return None


def _load_jpeg(
    image: Image.Image, info: PhotoInfo, data: bytes, cover: tuple[int, int] | None
) -> NDArray[np.uint8] | None:
    """Decode with OpenCV where the pixels are plain RGB: the same libjpeg, one copy fewer."""
    if info.mode != "RGB":
        if cover:
            image.draft(None, cover[::-1] if info.orientation >= 5 else cover)
        image.load()
        return None
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    if cover:
        shrink = min(info.width // max(1, cover[0]), info.height // max(1, cover[1]))
        for factor, reduced in (
            (8, cv2.IMREAD_REDUCED_COLOR_8),
            (4, cv2.IMREAD_REDUCED_COLOR_4),
            (2, cv2.IMREAD_REDUCED_COLOR_2),
        ):
            if shrink >= factor:
                flags |= reduced & ~cv2.IMREAD_COLOR_BGR
                break
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    return None if pixels is None else np.asarray(pixels, np.uint8)


def _jpeg_end(data: bytes) -> int | None:
    """Where the end marker of the first picture in a JPEG is; ``None`` where there is none.

    Searching for its two bytes alone would find those of an embedded preview.
    """
    position = 2
    while (found := _MARKER.search(data, position)) is not None:
        marker = data[found.start() + 1]
        if marker == 0xD9:
            return found.start()
        if marker in (0x01, 0xD8):
            position = found.end()
            continue
        # Every other marker has a segment with its own length; entropy-coded data may follow.
        if found.end() + 2 > len(data):
            return None
        position = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return None


def _lacks_data(pixels: NDArray[np.uint8], info: PhotoInfo, data: bytes, end: int) -> bool:
    """Whether the decoder ran out of data before the end marker and left the rest mid-grey.

    libjpeg only warns of that. A picture may truly end in mid-grey, so the doubtful ones are
    decoded once more with junk before the end marker: a complete picture does not change, since
    nothing is left to read; an incomplete one eats the junk. Later scans of a progressive JPEG
    refine the whole picture; losing some leaves no grey, and is not noticed here.
    """
    corner = pixels[-4:, -4:]
    if np.ptp(corner) != 0 or corner.flat[0] not in (127, 128):
        return False
    junk = bytes(range(1, 200)) * max(1, (info.width * info.height) // 40_000)
    again = cv2.imdecode(
        np.frombuffer(data[:end] + junk + data[end:], np.uint8),
        cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_IGNORE_ORIENTATION,
    )
    before = cv2.imdecode(
        np.frombuffer(data, np.uint8),
        cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_IGNORE_ORIENTATION,
    )
    return not np.array_equal(np.asarray(again), np.asarray(before))


def _displayed(
    image: Image.Image, info: PhotoInfo, pixels: NDArray[np.uint8] | None
) -> NDArray[np.uint8]:
    """Bring decoded pixels to sRGB, lay them on white, and turn them as they are displayed."""
    icc = image.info.get("icc_profile")
    if pixels is None or (icc and not _is_srgb(icc)):
        loaded = image if pixels is None else Image.fromarray(pixels)
        loaded.info["icc_profile"] = icc
        converted = srgb_image(loaded)
        if converted is not loaded or pixels is None:
            if converted.mode == "RGBA":
                white = Image.new("RGB", converted.size, "white")
                white.paste(converted, mask=converted.getchannel("A"))
                converted = white
            pixels = np.array(converted)  # a copy that may be written to
    return turned(pixels, info.orientation)


def turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Apply an EXIF orientation.

    Args:
        pixels: (height, width, channels) uint8, as stored.
        orientation: 1 to 8, as in the Exif standard (CIPA DC-008, tag 0x0112).

    Returns:
        The picture as displayed, contiguous; the same array for 1.
    """
    match orientation:
        case 2:
            pixels = pixels[:, ::-1]
        case 3:
            pixels = pixels[::-1, ::-1]
        case 4:
            pixels = pixels[::-1]
        case 5:
            pixels = pixels.swapaxes(0, 1)
        case 6:
            pixels = pixels[::-1].swapaxes(0, 1)
        case 7:
            pixels = pixels[::-1, ::-1].swapaxes(0, 1)
        case 8:
            pixels = pixels[:, ::-1].swapaxes(0, 1)
    return np.ascontiguousarray(pixels)


def _eight_bit_grey(image: Image.Image) -> Image.Image:
    """Scale a 16-bit grey picture to 8 bits; Pillow's own conversion clips it to white."""
    wide = np.asarray(image).astype(np.uint32)
    return Image.fromarray(((wide * 255 + 32767) // 65535).astype(np.uint8))


def _through_profile(image: Image.Image, icc: bytes) -> Image.Image | None:
    """Convert from an embedded profile to sRGB.

    Returns:
        The converted picture; the same object where the profile is sRGB in all but name; ``None``
        where the profile is damaged or describes other channels than the picture has.
    """
    try:
        if image.mode == "RGB" and _is_srgb(icc):
            return image
        return ImageCms.applyTransform(image, _transform(icc, image.mode))
    except (ImageCms.PyCMSError, *_DAMAGED):
        return None


@lru_cache(maxsize=64)
def _is_srgb(icc: bytes) -> bool:
    """Whether a profile leaves 8-bit RGB as it is. Cameras and tools embed the same few ones."""
    try:
        return _changes_nothing(_transform(icc, "RGB"))
    except (ImageCms.PyCMSError, *_DAMAGED):
        return False


def _transform(icc: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(icc)),
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform moves no colour by more than 2 of 255.

    Profiles of sRGB come under many names and versions; what they do tells more than a name, and
    leaving the pixels alone saves most of the time of a decode.
    """
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    after = np.asarray(ImageCms.applyTransform(Image.fromarray(cube), transform))
    return int(np.abs(after.astype(np.int16) - cube).max()) <= 2
