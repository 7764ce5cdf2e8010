"""A colour profile for a picture that only tells its primaries, as a PNG may.

Made into a profile they go the same way as those that are embedded.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
"""CIE x and y."""

Primaries = tuple[Point, Point, Point, Point]
"""White, red, green and blue."""

SRGB: Final[Primaries] = ((0.3127, 0.329), (0.64, 0.33), (0.3, 0.6), (0.15, 0.06))
DISPLAY_P3: Final[Primaries] = ((0.3127, 0.329), (0.68, 0.32), (0.265, 0.69), (0.15, 0.06))

_SRGB_CURVE: Final = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""Exponent, scale and offset, the slope near black and where that ends: IEC 61966-2-1."""

_D50: Final = np.array([0.9642, 1.0, 0.8249])
_BRADFORD: Final = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def profile_of(primaries: Primaries) -> bytes:
    """A profile (ICC.1:2010, section 7) of RGB with the curve of sRGB and other primaries.

    Raises:
        ValueError: The primaries span no colours.
    """
    curve = struct.pack(">4s4xHxx", b"para", 3) + b"".join(map(_fixed, _SRGB_CURVE))
    tags = {b"wtpt": _xyz(_D50)}
    for channel, column in zip((b"r", b"g", b"b"), _to_d50(primaries).T, strict=True):
        tags |= {channel + b"XYZ": _xyz(column), channel + b"TRC": curve}
    start = 128 + 4 + 12 * len(tags)
    table, data = [struct.pack(">I", len(tags))], b""
    for name, body in tags.items():
        table.append(struct.pack(">4sII", name, start + len(data), len(body)))
        data += body
    header = struct.pack(">I4xI4s4s4s", start + len(data), 0x04200000, b"mntr", b"RGB ", b"XYZ ")
    header = header.ljust(36, b"\0") + b"acsp"
    header = header.ljust(68, b"\0") + _xyz(_D50)[8:]
    return header.ljust(128, b"\0") + b"".join(table) + data


def _to_d50(primaries: Primaries) -> NDArray[np.float64]:
    """Linear RGB to XYZ under D50: the columns are the primaries, adapted after Bradford."""
    if any(not (0 < y <= 1 and 0 <= x <= 1) for x, y in primaries):
        raise ValueError("a chromaticity is none")
    white, *colours = (np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in primaries)
    matrix = np.column_stack(colours)
    if abs(np.linalg.det(matrix)) < 1e-3:
        raise ValueError("the primaries lie on a line")
    matrix = matrix * np.linalg.solve(matrix, white)
    adapted = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    return np.asarray(np.linalg.inv(_BRADFORD) @ adapted @ _BRADFORD @ matrix)


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, values))


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))
