"""Large JPEGs, written in strips at the same time.

A restart marker lets a decoder begin anew in the middle of a scan (ITU-T T.81, B.2.1 and E.1.4).
So a picture can be cut into strips of whole rows of its blocks, each written by itself, and their
scans joined by restart markers: an ordinary baseline JPEG of the same pixels. How it is cut depends
on its size alone, never on the machine.
"""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.core.errors import CompositeError

_STRIPS: Final = 2
"""More gain nothing on few cores, and other photos want theirs."""

_WORTH_IT: Final = 4_000_000
"""Pixels from which it pays."""

_MOST_BLOCKS: Final = 0xFFFF
"""Between two restart markers: the field has 16 bits."""

_SOF0, _RST0, _SOS, _DRI = 0xC0, 0xD0, 0xDA, 0xDD
_EOI: Final = b"\xff\xd9"


def written_in_strips(
    rgb: NDArray[np.uint8], *, quality: int, full_colour: bool, worth_it: int = _WORTH_IT
) -> bytes:
    """Write a JPEG: baseline, JFIF, standard Huffman tables.

    Args:
        rgb: (height, width, 3) uint8.
        quality: 1 to 100.
        full_colour: 4:4:4 instead of 4:2:0.
        worth_it: Pixels from which strips are made.

    Raises:
        CompositeError: The library does not write it.
    """
    height, width = rgb.shape[:2]
    side = 8 if full_colour else 16
    across, down = -(-width // side), -(-height // side)
    rows = min(-(-down // _STRIPS), _MOST_BLOCKS // across)
    if height * width < worth_it or rows < 1 or rows >= down:
        return _written(rgb, quality, full_colour)
    strips = [rgb[top : top + rows * side] for top in range(0, height, rows * side)]
    with ThreadPoolExecutor(_STRIPS) as pool:
        parts = list(pool.map(lambda strip: _written(strip, quality, full_colour), strips))
    return _joined(parts, height, rows * across)


def _written(rgb: NDArray[np.uint8], quality: int, full_colour: bool) -> bytes:
    sampling = (
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        if full_colour
        else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    )
    done, encoded = cv2.imencode(
        ".jpg",
        cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR),
        [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling],
    )
    if not done:
        raise CompositeError("The composite could not be written as JPEG.")
    return encoded.tobytes()


def _joined(parts: list[bytes], height: int, interval: int) -> bytes:
    """One JPEG of several that have the same width and tables.

    Args:
        height: Of the whole, pixels.
        interval: Blocks (minimum coded units) of each part but the last.
    """
    frame, scan, data = _places(parts[0])
    header = bytearray(parts[0][:data])
    header[frame + 5 : frame + 7] = struct.pack(">H", height)
    header[scan:scan] = struct.pack(">BBHH", 0xFF, _DRI, 4, interval)
    joined = [bytes(header)]
    for number, part in enumerate(parts):
        if number:
            joined.append(bytes((0xFF, _RST0 + (number - 1) % 8)))
        joined.append(part[_places(part)[2] : -len(_EOI)])
    return b"".join((*joined, _EOI))


def _places(jpeg: bytes) -> tuple[int, int, int]:
    """Where the markers of the frame and of the scan are, and where the scan's data begins."""
    frame, place = 0, 2
    while True:
        marker, length = jpeg[place + 1], int.from_bytes(jpeg[place + 2 : place + 4], "big")
        if marker == _SOF0:
            frame = place
        if marker == _SOS:
            return frame, place, place + 2 + length
        place += 2 + length
