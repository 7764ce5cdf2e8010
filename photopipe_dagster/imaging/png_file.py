"""PNG files of others: their chunks, within limits, and their pixels with their transparency.

Pillow reads a whole PNG or none: a text of more than 1 MB, or a wrong checksum of one, damages the
picture for it, while it takes the pixels without their checksums. So chunks are read here. What
describes the picture only is left out where it cannot be read; libpng, by OpenCV, decodes the rest
and is strict: it notices pixels that are missing, and the checksum of all of them.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.imaging.icc import DISPLAY_P3, SRGB, Primaries, profile_of

_fast_zlib: ModuleType
try:
    from isal import isal_zlib as _fast_zlib
except ImportError:  # no wheel for this platform: the same, more slowly
    _fast_zlib = zlib

MAX_CHUNKS: Final = 50_000
"""libpng writes 8 KB of pixels in a chunk, some encoders a row."""

MAX_PROFILE: Final = 16_000_000
"""Bytes of a colour profile; those of printers have a few million."""

_MAX_METADATA: Final = 1_000_000
_MAX_EXIF: Final = 65_536

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_HEADER: Final = struct.Struct(">IIBBBBB")
_NAME = re.compile(rb"[A-Za-z]{4}")
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_DEPTHS: Final = {
    _GREY: (1, 2, 4, 8, 16),
    _RGB: (8, 16),
    _PALETTE: (1, 2, 4, 8),
    _GREY_ALPHA: (8, 16),
    _RGBA: (8, 16),
}
_CHANNELS: Final = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGBA: 4}
_MODES: Final = {_RGB: "RGB", _PALETTE: "P", _GREY_ALPHA: "LA", _RGBA: "RGBA"}

_OF_THE_PICTURE: Final = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
_ONCE: Final = frozenset(
    (b"PLTE", b"tRNS", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"eXIf", b"acTL")
)
_AFTER_PIXELS_TOO: Final = frozenset((b"eXIf", b"zTXt", b"tEXt", b"iTXt"))

_GAMMA_OF_SRGB: Final = 45_455
_SRGB_BY_TOLERANCE: Final = 0.05
"""As libpng has it: what says that it is nearly the gamma of sRGB means sRGB's own curve."""
_SAME_POINT: Final = 0.002

_DEFLATE_AT_BEST: Final = 1_032
"""Bytes out of one; RFC 1951."""

_REPACKED: Final = 100_000_000
"""Bytes of rows up to which they are taken into memory twice, for speed."""
_PIECE: Final = 65_536

_PASSES: Final = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""Of an interlaced picture (Adam7): first column and row, steps of both."""


@dataclass(frozen=True, slots=True)
class PngFile:
    """A PNG whose chunks were read; its pixels were not.

    Args:
        width: Pixels, as stored.
        height: Pixels, as stored.
        frames: More than 1 for an animation.
        mode: Pillow's name of the stored pixels.
        transparent: Whether it has an alpha channel, a colour key or a palette with alpha.
        icc: A profile of the decoded pixels: the embedded one, or one of the primaries that it
            tells in numbers. ``None``: sRGB.
        exif: As Pillow has it in ``info``, at most 64 KB.
        xmp: The packet.
    """

    width: int
    height: int
    frames: int
    mode: str
    transparent: bool
    icc: bytes | None = field(repr=False)
    exif: bytes | None = field(repr=False)
    xmp: bytes | None = field(repr=False)
    _bits: int
    _colour: int
    _interlaced: int
    _gamma: int | None
    _palette: bytes = field(repr=False)
    _alpha: bytes | None = field(repr=False)
    _packed: bytes = field(repr=False)

    @classmethod
    def read(cls, data: bytes) -> PngFile:
        """Read the chunks, with their checksums. No pixel is decoded.

        Raises:
            PhotoRejectedError: One that the picture needs is damaged or missing, or there are too
                many.
        """
        found: dict[bytes, bytes] = {}
        texts: dict[bytes, tuple[bytes, bytes]] = {}
        pixels: list[memoryview] = []
        frames_before = 0
        for kind, body in _chunks(memoryview(data)):
            if kind == b"IDAT":
                pixels.append(body)
            elif kind == b"IHDR" or (kind in _ONCE and kind not in found):
                if not pixels or kind in _AFTER_PIXELS_TOO:
                    found[kind] = bytes(body)
            elif kind in _AFTER_PIXELS_TOO:
                keyword, _, rest = bytes(body).partition(b"\0")
                texts.setdefault(keyword, (kind, rest))
            elif kind == b"fcTL":
                frames_before = frames_before or (0 if pixels else 1)
        if len(found[b"IHDR"]) != _HEADER.size:
            raise _damaged("its header has a wrong length")
        width, height, bits, colour, method, filtering, interlaced = _HEADER.unpack(found[b"IHDR"])
        if bits not in _DEPTHS.get(colour, ()) or method or filtering or interlaced > 1:
            raise _damaged("its header says what no PNG has")
        palette = found.get(b"PLTE", b"")
        if colour == _PALETTE and (not palette or len(palette) % 3 or len(palette) > 3 << bits):
            raise _damaged("its palette is missing or has a wrong length")
        alpha = _alpha(found.get(b"tRNS"), colour, len(palette) // 3)
        gamma, icc = _colours(found, grey=colour in (_GREY, _GREY_ALPHA))
        return cls(
            width=width,
            height=height,
            frames=_frames(found.get(b"acTL"), frames_before),
            mode=_MODES.get(colour) or {1: "1", 16: "I;16"}.get(bits, "L"),
            transparent=alpha is not None or colour in (_GREY_ALPHA, _RGBA),
            icc=icc,
            exif=_exif(found.get(b"eXIf"), _text(texts.get(b"Raw profile type exif"))),
            xmp=_text(texts.get(b"XML:com.adobe.xmp")),
            _bits=bits,
            _colour=colour,
            _interlaced=interlaced,
            _gamma=gamma,
            _palette=palette,
            _alpha=alpha,
            _packed=b"".join(pixels),
        )

    def pixels(self) -> NDArray[np.uint8]:
        """Decode the picture, all of it.

        Returns:
            (height, width) grey, or (height, width, channels) uint8 with two channels for grey and
            alpha, three for RGB, four for RGB and straight alpha. A gamma is undone.

        Raises:
            PhotoRejectedError: It is damaged.
        """
        stored = self._decoded()
        if self._colour == _PALETTE:
            return self._painted(stored)
        keyed = self._keyed(stored)
        pixels = self._levels(stored)
        if self._colour == _GREY_ALPHA:
            return np.ascontiguousarray(pixels[..., 2:])
        if self._colour == _RGBA:
            return pixels
        if keyed is not None:
            pixels = np.dstack((pixels, np.where(keyed, np.uint8(0), np.uint8(255))))
        return pixels

    def _levels(self, stored: NDArray[np.uint8 | np.uint16]) -> NDArray[np.uint8]:
        """Bring stored values to eight bits and, but for alpha, from their gamma to sRGB's curve.

        At once, for eight bits of linear light hold nothing of the shadows.
        """
        wide = stored.dtype == np.uint16
        pixels = cv2.convertScaleAbs(stored, alpha=1 / 257) if wide else stored
        if self._gamma is not None:
            shown = _shown(self._gamma, 65_536 if wide else 256)
            if stored.ndim == 2:
                return shown[stored]
            pixels[..., :3] = shown[stored[..., :3]]
        return np.asarray(pixels, np.uint8)

    def _decoded(self) -> NDArray[np.uint8 | np.uint16]:
        """The stored values, in RGB; those of a palette, as if they were grey."""
        colour = _GREY if self._colour == _PALETTE else self._colour
        header = _HEADER.pack(self.width, self.height, self._bits, colour, 0, 0, self._interlaced)
        png = b"".join(
            (
                _SIGNATURE,
                _chunk(b"IHDR", header),
                _chunk(b"IDAT", self._sound_rows()),
                _chunk(b"IEND", b""),
            )
        )
        plain = self._colour == _RGB and self._bits == 8
        flags = cv2.IMREAD_COLOR_RGB if plain else cv2.IMREAD_UNCHANGED
        try:
            stored = cv2.imdecode(np.frombuffer(png, np.uint8), flags)
        except cv2.error as error:
            raise _damaged("its pixels cannot be decoded") from error
        if stored is None:
            raise _damaged("its pixels cannot be decoded")
        if self._colour == _RGBA:
            stored = cv2.cvtColor(stored, cv2.COLOR_BGRA2RGBA)
        elif self._colour == _RGB and not plain:
            stored = cv2.cvtColor(stored, cv2.COLOR_BGR2RGB)
        return np.asarray(stored)

    def _sound_rows(self) -> bytes:
        """The packed rows, after all of them were seen to be there, packed for libpng.

        ISA-L inflates several times as fast as libpng's zlib, and can stop: libpng would inflate
        whatever follows the last row, too. So it gets the rows again, stored without compression.
        """
        expected = self._row_bytes()
        if expected > len(self._packed) * _DEFLATE_AT_BEST:
            raise _damaged("not all of its picture is in the file")
        inflater = _fast_zlib.decompressobj()
        try:
            if expected <= _REPACKED:
                rows = inflater.decompress(self._packed, expected + 1)
                got = len(rows)
            else:
                got = 0
                for start in range(0, len(self._packed), _PIECE):
                    got += len(inflater.decompress(self._packed[start : start + _PIECE]))
                    if got > expected:
                        break
        except _fast_zlib.error as error:
            raise _damaged("its pixels cannot be inflated") from error
        if got < expected or (got == expected and not inflater.eof):
            raise _damaged("not all of its picture is in the file")
        if got > expected > _REPACKED:
            raise _damaged("it has more pixels than its header says")
        return zlib.compress(rows[:expected], 0) if expected <= _REPACKED else self._packed

    def _row_bytes(self) -> int:
        """Bytes of all rows, each with its filter."""
        bits = self._bits * _CHANNELS[self._colour]
        total = 0
        for left, top, across, down in _PASSES if self._interlaced else ((0, 0, 1, 1),):
            width, height = -(-(self.width - left) // across), -(-(self.height - top) // down)
            if width > 0 and height > 0:
                total += height * (1 + -(-width * bits // 8))
        return total

    def _painted(self, stored: NDArray[np.uint8 | np.uint16]) -> NDArray[np.uint8]:
        """A picture of a palette: few bits were widened to eight."""
        places = stored // (255 // ((1 << self._bits) - 1))
        colours = self._levels(np.frombuffer(bytearray(self._palette), np.uint8).reshape(-1, 3))
        if int(places.max()) >= len(colours):
            raise _damaged("it uses colours that are not in its palette")
        if self._alpha is not None:
            alpha = np.frombuffer(self._alpha.ljust(len(colours), b"\xff"), np.uint8)
            colours = np.column_stack((colours, alpha))
        return np.asarray(colours[places], np.uint8)

    def _keyed(self, stored: NDArray[np.uint8 | np.uint16]) -> NDArray[np.bool_] | None:
        """Where a picture has the one colour that is transparent."""
        if self._alpha is None:
            return None
        key = np.frombuffer(self._alpha, ">u2").astype(np.uint32) & ((1 << self._bits) - 1)
        if self._bits < 8:
            key *= 255 // ((1 << self._bits) - 1)
        if self._colour == _GREY:
            return np.asarray(stored == key[0])
        return np.asarray((stored == key.astype(stored.dtype)).all(axis=-1))


def _chunks(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """All chunks in order up to the end; those of no weight for the picture only if sound."""
    position = 8
    for count in range(MAX_CHUNKS + 1):
        if position + 12 > len(data):
            raise _damaged("it ends before its end chunk")
        length = int.from_bytes(data[position : position + 4], "big")
        kind = bytes(data[position + 4 : position + 8])
        end = position + 8 + length
        if _NAME.fullmatch(kind) is None or (count == 0) != (kind == b"IHDR"):
            raise _damaged("what follows a chunk is none")
        if end + 4 > len(data):
            raise _damaged("a chunk is longer than the file")
        needed = kind in _OF_THE_PICTURE
        if not needed and kind[:1].isupper():
            raise _damaged("it has a chunk that nobody knows and that it needs")
        sound = _fast_zlib.crc32(data[position + 4 : end]) == int.from_bytes(
            data[end : end + 4], "big"
        )
        if needed and not sound:
            raise _damaged("a checksum of its picture is wrong")
        if kind == b"IEND":
            return
        if sound:
            yield kind, data[position + 8 : end]
        position = end + 4
    raise PhotoRejectedError(
        f"The PNG has more than {MAX_CHUNKS:,} chunks, as no editor writes it. Export it again "
        "from its source.",
    )


def _text(found: tuple[bytes, bytes] | None) -> bytes | None:
    """What follows the keyword of a text chunk, as far as anybody asks for it."""
    if found is None:
        return None
    kind, rest = found
    packed = kind == b"zTXt"
    if packed:
        rest = rest[1:]
    elif kind == b"iTXt":
        packed = rest[:1] == b"\1"
        rest = rest[2:].split(b"\0", 2)[-1]
    return _inflated(rest, _MAX_METADATA) if packed else rest[:_MAX_METADATA]


def _inflated(packed: bytes, most: int) -> bytes | None:
    """As much as is wanted of what was deflated; ``None`` where it is damaged."""
    try:
        return zlib.decompressobj().decompress(packed, most)
    except zlib.error:
        return None


def _exif(chunk: bytes | None, profile: bytes | None) -> bytes | None:
    if chunk is not None:
        return b"Exif\0\0" + chunk[:_MAX_EXIF]
    # As ImageMagick writes it: a line of its name, one of its length, then hexadecimal digits.
    digits = b"".join((profile or b"").split(b"\n")[3:])
    try:
        return bytes.fromhex(digits[: 2 * _MAX_EXIF].decode("ascii")) or None
    except ValueError:
        return None


def _alpha(body: bytes | None, colour: int, colours: int) -> bytes | None:
    """What a tRNS chunk says, in so far as the kind of picture can have one."""
    if body is None:
        return None
    if colour == _PALETTE:
        return body if 0 < len(body) <= colours else None
    expected = {_GREY: 2, _RGB: 6}.get(colour)
    return body if len(body) == expected else None


def _frames(animation: bytes | None, before: int) -> int:
    if animation is None or len(animation) != 8:
        return 1
    return max(1, int.from_bytes(animation[:4], "big") + 1 - before)


def _colours(found: dict[bytes, bytes], *, grey: bool) -> tuple[int | None, bytes | None]:
    """Gamma, as PNG has it, and profile, in the order of rank of what describes colours."""
    cicp = found.get(b"cICP")
    if cicp == b"\x01\x0d\0\1":
        return None, None
    if cicp == b"\x0c\x0d\0\1":
        return None, None if grey else profile_of(DISPLAY_P3)
    name, _, packed = found.get(b"iCCP", b"").partition(b"\0")
    if name and packed[:1] == b"\0":
        profile = _inflated(packed[1:], MAX_PROFILE + 1)
        if profile and len(profile) <= MAX_PROFILE:
            return None, profile
    if b"sRGB" in found or len(found.get(b"gAMA", b"")) != 4:
        return None, None
    told = int.from_bytes(found[b"gAMA"], "big")
    if not _GAMMA_OF_SRGB / 10 < told < _GAMMA_OF_SRGB * 10:
        return None, None  # no picture is stored like that
    gamma = None if abs(told / _GAMMA_OF_SRGB - 1) <= _SRGB_BY_TOLERANCE else told
    primaries = _primaries(found.get(b"cHRM"))
    if grey or np.abs(np.subtract(primaries, SRGB)).max() <= _SAME_POINT:
        return gamma, None
    try:
        return gamma, profile_of(primaries)
    except ValueError:
        return gamma, None


def _shown(gamma: int, levels: int) -> NDArray[np.uint8]:
    """What each stored value is in sRGB (IEC 61966-2-1)."""
    light = np.linspace(0, 1, levels) ** (100_000 / gamma)
    shown = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * shown).astype(np.uint8)


def _primaries(chromaticities: bytes | None) -> Primaries:
    if chromaticities is None or len(chromaticities) != 32:
        return SRGB
    values = [value / 100_000 for value in struct.unpack(">8I", chromaticities)]
    white, red, green, blue = zip(values[::2], values[1::2], strict=True)
    return white, red, green, blue


def _damaged(why: str) -> PhotoRejectedError:
    return PhotoRejectedError(
        f"The PNG is damaged or cut short ({why}): not all of its picture can be decoded. Send it "
        "again, or export it again from its source.",
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = _fast_zlib.crc32(body, _fast_zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(body)), kind, body, struct.pack(">I", checksum)))
