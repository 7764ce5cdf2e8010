"""Photos read from bytes: what they are, whether they are whole, and their pixels in sRGB.

Nothing that arrives from outside is trusted: the size is read from the header before a pixel is
decoded, and a picture counts as whole only after all of it was.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.imaging.jpeg_file import Colour, JpegFile
from photopipe_dagster.imaging.orientation import TURNS
from photopipe_dagster.imaging.png_file import PngFile

MAX_PIXELS = 64_000_000
"""What a picture may have unless the caller says otherwise: about 200 MB decoded."""

_CONTENT_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_WHAT_TO_SEND = "send the photo as JPEG, PNG or WebP"
_MAX_EXIF = 65_542
"""Bytes of a segment of Exif in a JPEG. The other formats set no limit, and of more Pillow would
read every entry against all."""

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

_COLOURS: dict[str, Colour] = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
"""How a JPEG is decoded, by Pillow's mode."""

Size = tuple[int, int]
"""Width and height, pixels."""


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
        transparent: Whether the file has an alpha channel, a palette with alpha or a colour key.
    """

    width: int
    height: int
    format: str
    content_type: str
    orientation: int
    mode: str
    has_icc: bool
    frames: int
    transparent: bool = False

    @property
    def stored_size(self) -> Size:
        """Width and height without the EXIF orientation."""
        return (self.width, self.height) if self.orientation < 5 else (self.height, self.width)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file whose header was read; ``load`` decodes every pixel.

    Args:
        mode: Pillow's name for the stored pixels.
        size: As stored.
        info: As Pillow has it: what is embedded, such as ``icc_profile`` and ``exif``.
        load: Takes the size, as stored, that the caller will shrink the picture to, and returns
            RGB pixels, or a picture of another mode.
    """

    format: str
    mode: str
    size: Size
    frames: int
    transparent: bool
    info: Mapping[str | tuple[int, int], object]
    load: Callable[[Size | None], Image.Image | NDArray[np.uint8]]


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
    opened, info = _open(data, max_pixels=max_pixels, min_side=min_side)
    _load(opened)
    return info


def describe(data: bytes, *, max_pixels: int = MAX_PIXELS) -> PhotoInfo:
    """Say what a picture is, from what can be read without decoding a pixel.

    Args:
        data: The file.
        max_pixels: More pixels are rejected.

    Raises:
        PhotoRejectedError: As `inspect`, but for damage that only decoding shows.
    """
    return _open(data, max_pixels=max_pixels, min_side=1)[1]


def decode_rgb(
    data: bytes, *, max_pixels: int = MAX_PIXELS, cover: Size | None = None
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
    opened, info = _open(data, max_pixels=max_pixels, min_side=1)
    loaded = _load(opened, _as_stored(cover, info))
    icc = opened.info.get("icc_profile")
    if isinstance(loaded, np.ndarray) and (not isinstance(icc, bytes) or _is_srgb(icc)):
        return turned(loaded, info.orientation)
    image = _in_srgb(loaded, opened)
    if image.mode == "RGBA":
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        image = white
    return turned(np.array(image), info.orientation)  # a copy that may be written to


def decode_image(
    data: bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    cover: Size | None = None,
    upright: bool = True,
) -> Image.Image:
    """Decode a picture as it is displayed, and keep its transparency.

    Args:
        data: The file.
        max_pixels: More pixels are rejected from the header alone.
        cover: As for `decode_rgb`.
        upright: Whether to apply the EXIF orientation.

    Returns:
        A picture in sRGB, of mode ``RGB``, or ``RGBA`` where the file has transparency.

    Raises:
        PhotoRejectedError: As `inspect`.
    """
    opened, info = _open(data, max_pixels=max_pixels, min_side=1)
    image = _in_srgb(_load(opened, _as_stored(cover, info)), opened)
    turn = TURNS.get(info.orientation) if upright else None
    return image if turn is None else image.transpose(turn)


def _in_srgb(loaded: Image.Image | NDArray[np.uint8], opened: _Opened) -> Image.Image:
    image = Image.fromarray(loaded) if isinstance(loaded, np.ndarray) else loaded
    icc = opened.info.get("icc_profile")
    return _srgb_image(image, icc if isinstance(icc, bytes) else None)


def _srgb_image(image: Image.Image, icc: bytes | None) -> Image.Image:
    """Convert a loaded picture to 8-bit sRGB, with alpha where it has any transparency.

    Args:
        image: Of mode ``L``, ``LA``, ``RGB``, ``RGBA`` or ``CMYK``.
        icc: Its profile.

    Returns:
        A picture of mode ``RGB`` or ``RGBA``; the same object where nothing is to be done.
    """
    transparent = image.mode in ("LA", "RGBA")
    if icc is None:
        target = "RGBA" if transparent else "RGB"
        return image if image.mode == target else image.convert(target)
    opaque = image.convert(image.mode[:-1]) if transparent else image
    # A profile describes the stored channels, so it is used before they become RGB.
    converted = _through_profile(opaque, icc)
    if converted is None and opaque.mode != "RGB":
        opaque = opaque.convert("RGB")
        converted = _through_profile(opaque, icc)
    if converted is None:
        converted = opaque
    if transparent:
        converted.putalpha(image.getchannel("A"))
    return converted


def _as_stored(cover: Size | None, info: PhotoInfo) -> Size | None:
    return cover if cover is None or info.orientation < 5 else (cover[1], cover[0])


def _open(data: bytes, *, max_pixels: int, min_side: int) -> tuple[_Opened, PhotoInfo]:
    """Read the header, and reject what need not be decoded to be rejected."""
    _reject_other_formats(data)
    try:
        opened = _opened(data, max_pixels)
    except _DAMAGED as error:
        raise _bad_header() from error
    name, frames = opened.format, opened.frames
    width, height = opened.size
    _check_pixels(width, height, max_pixels)
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
    orientation = _orientation(opened.info)
    if orientation >= 5:
        width, height = height, width
    return opened, PhotoInfo(
        width=width,
        height=height,
        format=name,
        content_type=_CONTENT_TYPES[name],
        orientation=orientation,
        mode=opened.mode,
        has_icc=bool(opened.info.get("icc_profile")),
        frames=frames,
        transparent=opened.transparent,
    )


def _check_pixels(width: int, height: int, max_pixels: int) -> None:
    if width * height == 0:
        raise _bad_header()
    if width * height > max_pixels:
        raise PhotoRejectedError(
            f"The photo has {width} × {height} = {width * height:,} pixels; at most "
            f"{max_pixels:,} are accepted. Send it smaller.",
            details={"width": width, "height": height, "max_pixels": max_pixels},
        )


def _bad_header() -> PhotoRejectedError:
    return PhotoRejectedError(
        f"The photo's header is damaged or declares no pixels; export it again from its source "
        f"and {_WHAT_TO_SEND}.",
    )


def _opened(data: bytes, max_pixels: int) -> _Opened:
    if data.startswith(b"\xff\xd8"):
        return _opened_jpeg(JpegFile.read(data))
    if data.startswith(b"\x89PNG"):
        return _opened_png(PngFile.read(data))
    return _opened_webp(data, max_pixels)


def _opened_jpeg(jpeg: JpegFile) -> _Opened:
    with warnings.catch_warnings():
        # The size is checked by us; Pillow sees no more than the header.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        header = Image.open(io.BytesIO(jpeg.header()), formats=("JPEG",))
    mode = header.mode

    def load(cover: Size | None) -> Image.Image | NDArray[np.uint8]:
        pixels = jpeg.pixels(_COLOURS[mode], _shrunk(header.size, cover))
        if mode == "RGB":
            return pixels
        if mode == "L":
            return Image.fromarray(pixels[..., 0])
        return Image.frombytes("CMYK", pixels.shape[1::-1], ~pixels)  # Adobe stores it inverted

    return _Opened("JPEG", mode, header.size, 1, False, dict(header.info), load)


def _shrunk(size: Size, cover: Size | None) -> Size | None:
    """The size at 1/2, 1/4 or 1/8 that still covers another; ``None``: the full one."""
    if cover is None:
        return None
    shrink = min(size[0] // max(1, cover[0]), size[1] // max(1, cover[1]))
    factor = next((each for each in (8, 4, 2) if shrink >= each), 1)
    return (-(-size[0] // factor), -(-size[1] // factor)) if factor > 1 else None


def _opened_png(png: PngFile) -> _Opened:
    info = {"icc_profile": png.icc, "exif": png.exif, "xmp": png.xmp}

    def load(_: Size | None) -> Image.Image | NDArray[np.uint8]:
        pixels = png.pixels()
        return pixels if pixels.ndim == 3 and pixels.shape[2] == 3 else Image.fromarray(pixels)

    return _Opened(
        "PNG",
        png.mode,
        (png.width, png.height),
        png.frames,
        png.transparent,
        {name: value for name, value in info.items() if value is not None},
        load,
    )


def _opened_webp(data: bytes, max_pixels: int) -> _Opened:
    size = _webp_size(data)
    if size is not None:
        _check_pixels(*size, max_pixels)  # Pillow takes the memory of the picture when it opens it
    if len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise PhotoRejectedError(
            "The WebP ends before its picture does: it was not transferred in full. Send it again.",
        )
    image = Image.open(io.BytesIO(data), formats=("WEBP",))

    def load(_: Size | None) -> Image.Image | NDArray[np.uint8]:
        image.load()
        return image

    return _Opened(
        "WEBP",
        image.mode,
        image.size,
        int(getattr(image, "n_frames", 1)),
        image.mode == "RGBA",
        dict(image.info),
        load,
    )


def _webp_size(data: bytes) -> Size | None:
    """What the header of a WebP says; RFC 9649."""
    if data[12:16] == b"VP8X":
        width, height = data[24:27], data[27:30]
        return int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if data[12:16] == b"VP8 ":
        width, height = data[26:28], data[28:30]
        return (
            int.from_bytes(width, "little") & 0x3FFF,
            int.from_bytes(height, "little") & 0x3FFF,
        )
    return None


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


def _orientation(info: Mapping[str | tuple[int, int], object]) -> int:
    bearer = Image.new("L", (1, 1))
    exif, xmp = info.get("exif"), info.get("xmp")
    if isinstance(exif, bytes):
        bearer.info["exif"] = exif[:_MAX_EXIF]
    if isinstance(xmp, bytes):
        bearer.info["xmp"] = xmp
    try:
        value = bearer.getexif().get(0x0112, 1)
    except _DAMAGED:
        return 1  # unreadable EXIF takes nothing from the pixels
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _load(opened: _Opened, cover: Size | None = None) -> Image.Image | NDArray[np.uint8]:
    """Decode every pixel."""
    try:
        return opened.load(cover)
    except _DAMAGED as error:
        raise PhotoRejectedError(
            f"The {opened.format} is damaged or cut short: not all of its picture can be decoded. "
            "Send it again, or export it again from its source.",
        ) from error


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
