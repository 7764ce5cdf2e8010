"""JPEG files: what they consist of, and their pixels, with an ear for what libjpeg warns of.

libjpeg decodes a damaged picture as well as it can, and only warns. OpenCV prints the warnings and
Pillow drops them; TurboJPEG, by simplejpeg, tells them. It gives the same pixels in the same time.

Strangers' files are walked before a decoder sees them, and their markers counted: a parser in
Python takes microseconds for each, and libjpeg goes through the whole picture for each scan.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from photopipe_dagster.core.errors import PhotoRejectedError

MAX_SCANS: Final = 200
"""Encoders write up to some 20. A scan of a few bytes takes as long as the picture is large:
"Two Issues with the JPEG Standard" of libjpeg-turbo, LJT-01-003."""

MAX_BLOCKS: Final = 60_000_000
"""Of all scans together, 8 × 8 pixels of one component each: 30 ns for each."""
_MAX_PASSES: Final = 16
"""So many times each block is always allowed; encoders have it 6 times."""

MAX_SEGMENTS: Final = 5_000
"""50 MB of metadata are 800 full segments."""

_MAX_PADDING: Final = 16
"""Bytes to the next multiple of what a camera's memory has."""

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""A JPEG marker that ends entropy-coded data: neither a stuffed byte, a fill byte nor a restart."""

_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_APP0, _APP1, _APP2, _APP14 = 0xE0, 0xE1, 0xE2, 0xEE
_TABLES: Final = frozenset((0xC4, 0xCC, 0xDB, 0xDD))
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL: Final = frozenset((0xC0, 0xC1))
_PROGRESSIVE: Final = 0xC2
_WHOLE_SPECTRUM: Final = b"\x00\x3f\x00"

_WART = re.compile(
    r"extraneous bytes before marker|unknown JFIF revision|Unknown Adobe color transform"
    r"|Invalid SOS parameters for sequential"
)
"""What libjpeg may warn of although it has decoded all of the picture."""

_AGAIN: Final = "Send it again, or export it again from its source."

Colour = Literal["RGB", "GRAY", "CMYK"]


@dataclass(frozen=True, slots=True)
class _Segment:
    """A marker with its parameters and, of a scan, with its entropy-coded data.

    Args:
        start: Where the marker is.
        body: Where its parameters begin.
        data: Where they end.
        end: Where the entropy-coded data end; as ``data`` where there are none.
    """

    marker: int
    start: int
    body: int
    data: int
    end: int


@dataclass(frozen=True, slots=True)
class _Frame:
    """What a picture's header says: each component has its id and its sampling factors."""

    marker: int
    width: int
    height: int
    components: tuple[tuple[int, int, int], ...]

    def blocks(self) -> dict[int, int]:
        """Blocks of 8 × 8, by the component's id."""
        most_h = max(h for _, h, _ in self.components)
        most_v = max(v for _, _, v in self.components)
        return {
            component: -(-self.width * h // (8 * most_h)) * -(-self.height * v // (8 * most_v))
            for component, h, v in self.components
        }


@dataclass(frozen=True, slots=True)
class JpegFile:
    """A JPEG whose markers were walked, from the start of its first picture to its end."""

    _file: bytes = field(repr=False)
    _segments: tuple[_Segment, ...]
    _end: int
    _frame: _Frame
    _torn: bool

    @classmethod
    def read(cls, data: bytes) -> JpegFile:
        """Walk a JPEG's markers. Nothing is decoded.

        Raises:
            PhotoRejectedError: It ends before its end marker, says nothing of its picture, or has
                so many markers or scans as only harm needs.
        """
        # Searching for the end marker alone would find the one of an embedded preview.
        segments: list[_Segment] = []
        scans, position, torn = 0, 2, False
        while (found := _MARKER.search(data, position)) is not None:
            start, body, marker = found.start(), found.end(), data[found.end() - 1]
            if segments and segments[-1].marker == _SOS:
                scan = segments[-1]
                segments[-1] = _Segment(_SOS, scan.start, scan.body, scan.data, start)
            elif segments and segments[-1].marker in _TABLES | _FRAMES:
                # After metadata cameras leave what they like; here a table or a scan is lost.
                between = data[position:start].strip(b"\xff")
                torn = torn or bool(between.strip(b"\0")) or len(between) > _MAX_PADDING
            if marker == _EOI:
                return cls(data, tuple(segments), start, _frame(data, tuple(segments)), torn)
            position = body
            if marker not in (_SOI, _TEM):
                body += 2
                position += max(2, int.from_bytes(data[position:body], "big"))
            if position > len(data):
                break
            segments.append(_Segment(marker, start, body, position, position))
            scans += marker == _SOS
            if scans > MAX_SCANS or len(segments) > MAX_SEGMENTS:
                raise _too_much(f"{MAX_SCANS} scans or {MAX_SEGMENTS:,} markers")
        raise PhotoRejectedError(
            "The JPEG ends before its picture does: it was not transferred in full. Send it again.",
        )

    def header(self) -> bytes:
        """A short JPEG that ends before its picture's data: as much as a parser has to see.

        Of comments and of metadata that nobody asks for, nothing is in it; of segments of Exif
        the first, since Pillow would read the entries of one against the bytes of all.
        """
        kept, exif = [b"\xff\xd8"], False
        for segment in self._segments:
            body = self._file[segment.body : segment.data]
            if segment.marker == _APP1:
                more = exif and body.startswith(b"Exif\0")
                exif = exif or body.startswith(b"Exif\0")
                wanted = not more
            elif segment.marker == _APP2:
                wanted = body.startswith(b"ICC_PROFILE\0")  # not that of a phone's extra pictures
            else:
                wanted = segment.marker in (_APP0, _APP14, _SOS) or segment.marker in _FRAMES
            if wanted:
                kept.append(self._file[segment.start : segment.data])
            if segment.marker == _SOS:
                break
        return b"".join((*kept, b"\xff\xd9"))

    def pixels(self, colour: Colour, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Decode the picture, all of it.

        Args:
            colour: ``CMYK`` only where the file has it or YCCK; it comes as it is stored.
            size: Width and height, as stored, below which the decoder must not shrink it.

        Returns:
            (height, width, channels) uint8, as stored.

        Raises:
            PhotoRejectedError: libjpeg cannot decode it, or warns of its data.
        """
        self._check_data()
        try:
            return _decoded(self._file, colour, size)
        except ValueError as error:
            if self._torn or _WART.search(str(error)) is None:
                raise _damaged(str(error)) from error
        try:
            return _decoded(self._without_warts(), colour, size)
        except ValueError as error:
            raise _damaged(str(error)) from error

    def _check_data(self) -> None:
        """Reject a picture that cannot be whole, or only costs time, before it is decoded."""
        scans = [each for each in self._segments if each.marker == _SOS]
        coded = sum(each.end - each.data for each in scans)
        blocks = self._frame.blocks()
        # A block takes a bit for its level and, but in the first scan of a progressive picture,
        # one to say that there is nothing else.
        marker = self._frame.marker
        bits = 2 if marker in _SEQUENTIAL else 1 if marker == _PROGRESSIVE else 0
        shown = [
            self._file[place]
            for scan in scans
            for place in range(scan.body + 1, min(scan.body + 8, scan.data - 3), 2)
        ]
        if coded * 8 < sum(blocks.values()) * bits or not blocks.keys() <= set(shown):
            raise _damaged("not all of the picture is in the file")
        work = sum(blocks.get(component, 0) for component in shown)
        if work > max(MAX_BLOCKS, _MAX_PASSES * sum(blocks.values())):
            raise _too_much(f"{MAX_BLOCKS:,} blocks in {len(scans)} scans")

    def _without_warts(self) -> bytes:
        """The file without what libjpeg warns of though the picture does not suffer from it.

        Cameras write bytes between two segments, zeros before the end marker, a revision of JFIF
        or a colour transform that does not exist, or a scan of a sequential picture without its
        spectrum. What is warned of then is of the picture: of all warnings only the first is told.
        """
        kept = [b"\xff\xd8"]
        for segment in self._segments:
            marker, body = segment.marker, self._file[segment.body : segment.end]
            if marker == _APP0 and body.startswith(b"JFIF\0"):
                body = body[:5] + b"\x01" + body[6:]
            elif marker == _APP14 and body.startswith(b"Adobe") and body[11:12] > b"\2":
                known = b"\1" if len(self._frame.components) == 3 else b"\2"
                body = body[:11] + known + body[12:]
            elif marker == _SOS and self._frame.marker in _SEQUENTIAL:
                after = segment.data - segment.body
                body = body[: after - 3] + _WHOLE_SPECTRUM + body[after:]
            elif marker not in _TABLES and marker not in _FRAMES and marker != _SOS:
                continue
            kept.append(self._file[segment.start : segment.body] + body)
        last = kept[-1].rstrip(b"\0")
        if self._frame.marker not in _SEQUENTIAL and len(kept[-1]) - len(last) > _MAX_PADDING:
            last = kept[-1]  # more scans may have been there
        if last.endswith(b"\xff"):
            last += b"\0"
        return b"".join((*kept[:-1], last, b"\xff\xd9"))


def _frame(data: bytes, segments: tuple[_Segment, ...]) -> _Frame:
    for segment in segments:
        body = data[segment.body : segment.data]
        if segment.marker in _FRAMES and len(body) >= 6 + 3 * body[5]:
            components = tuple(
                (body[place], body[place + 1] >> 4, body[place + 1] & 15)
                for place in range(6, 6 + 3 * body[5], 3)
            )
            if any(h * v == 0 for _, h, v in components) or not components:
                break
            height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
            return _Frame(segment.marker, width, height, components)
    raise PhotoRejectedError(f"The JPEG's header is damaged. {_AGAIN}")


def _decoded(data: bytes, colour: Colour, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    width, height = size or (0, 0)
    pixels = simplejpeg.decode_jpeg(data, colour, min_width=width, min_height=height, strict=True)
    return np.asarray(pixels, np.uint8)


def _damaged(why: str) -> PhotoRejectedError:
    return PhotoRejectedError(f"Part of the JPEG's picture is damaged or missing ({why}). {_AGAIN}")


def _too_much(what: str) -> PhotoRejectedError:
    return PhotoRejectedError(
        f"The JPEG has more than {what}, as no camera or editor writes it. Export it again from "
        "its source.",
    )
