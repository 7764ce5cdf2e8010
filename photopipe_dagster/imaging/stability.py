"""Whether a product can stand on its lower end as it was photographed, by its outline alone.

A hat that hangs askew, a book seen from above or a shoe photographed from above ends below in a
corner or a tip: set upright on a table it would stand on a point. What stands ends below in an
edge or in the arc of a round base. So what is measured is the angle that the lower end opens with:
from the middle of what touches the ground to the outline on both sides, a tenth of the width
above it. A flat base has 157°, a ball 143°, a box with a corner to a camera at 30° 127°, the tip of
a sheet that lies askew 100°. (A camera that looks down at an angle θ sees the edges of a right
corner rise by α and β, with tan α · tan β = sin² θ; so an angle that is too small tells a camera
that looks straight down.)

A slender thing with a round end could be balanced on it, but nobody does: of a slender piece a
base is asked for that is flatter than a ball.

What touches the ground at a short stretch only, and rises from there unevenly, would tip over:
it leans, or is a long thing such as a shoe that was photographed at an angle from above. (A ball
touches it at a short stretch, too, but rises evenly.)

What lies but ends in a straight edge, such as a shirt with its hem, cannot be told from what
stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_LEAST_OPENING: Final = 110.0
"""Degrees; of the whole product. Tilted hats and books have 98 to 100, what stands 136 or more."""

_LEAST_OPENING_OF_SLENDER: Final = 146.0
"""Degrees; of a slender piece. Shoes seen from above have 136, bottles 154 or more."""

_SLENDER: Final = 2.0
"""Height for each pixel of width from which a piece is slender."""

_SHORT: Final = 0.3
"""Share of the width. Balls touch the ground with 0.2, bottles with 0.37 or more."""

_UNEVEN: Final = 0.05
"""Share of the width, between the heights of the outline a fifth in from the left and from the
right. Slip-ons at an angle have 0.075, a cup on its saucer 0.017."""

_FIFTH: Final = 0.2

_SIDE: Final = 128
"""Pixels of the shorter side at which the outline is looked at."""

_HEIGHT: Final = 0.1
"""Where the opening is measured: above the lowest edge, share of the width."""

_TOUCHING: Final = 0.01
"""What touches the ground: up to here above the lowest edge, share of the width."""

_PIECE: Final = 0.2
"""Share of the largest piece's area from which a piece counts."""

_ON_THE_GROUND: Final = 0.1
"""How far above the product's lowest edge a piece may end that stands, share of the height."""

Outline = NDArray[np.bool_]


def firmness(alpha: NDArray[np.uint8]) -> float:
    """How well a product stands: the opening of its lower end over the least that it takes.

    Args:
        alpha: (height, width) uint8, the cut-out's box.

    Returns:
        Less than 1 for what would stand on a point or tip over; of several pieces the least.
    """
    # Glass may have no pixel that is more than half opaque.
    level = min(128, int(alpha.max()) // 2)
    step = max(1, min(alpha.shape) // _SIDE)
    solid = np.ascontiguousarray(alpha[::step, ::step]) >= max(1, level)
    if not solid.any():
        return 1.0
    found = [_opening(solid) / _LEAST_OPENING, _evenness(solid)]
    for piece in _pieces(solid):
        height, width = piece.shape
        if height >= _SLENDER * width:
            found.append(_opening(piece) / _LEAST_OPENING_OF_SLENDER)
    return min(found)


def _pieces(solid: Outline) -> Iterator[Outline]:
    """The pieces that stand on the product's ground, each in its own box."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(solid.astype(np.uint8))
    largest = stats[1:, cv2.CC_STAT_AREA].max()
    lowest = (stats[1:, cv2.CC_STAT_TOP] + stats[1:, cv2.CC_STAT_HEIGHT]).max()
    for number, (left, top, width, height, area) in enumerate(stats[1:], start=1):
        if area >= _PIECE * largest and lowest - (top + height) <= _ON_THE_GROUND * solid.shape[0]:
            yield labels[top : top + height, left : left + width] == number


def _opening(solid: Outline) -> float:
    """The angle of the lower end in degrees, up to 180."""
    xs, rises = _lower_end(solid)
    width = xs[-1] - xs[0] + 1
    touching = _touching(xs, rises)
    low = xs[rises <= max(1.0, _HEIGHT * width)]
    middle = (touching[0] + touching[-1]) / 2
    above = max(1.0, _HEIGHT * width)
    # Half a column, since the product begins and ends at the rims of its columns.
    return math.degrees(
        math.atan2(middle - low[0] + 0.5, above) + math.atan2(low[-1] - middle + 0.5, above)
    )


def _evenness(solid: Outline) -> float:
    """How evenly what touches the ground at a short stretch rises; less than 1: it would tip."""
    xs, rises = _lower_end(solid)
    width = xs[-1] - xs[0] + 1
    touching = _touching(xs, rises)
    if touching[-1] - touching[0] + 1 >= _SHORT * width:
        return math.inf
    fifths = xs[0] + np.array((_FIFTH, 1 - _FIFTH)) * (width - 1)
    left, right = np.interp(fifths, xs, rises)
    return _UNEVEN * float(width) / max(1e-9, abs(float(left) - float(right)))


def _touching(xs: NDArray[np.intp], rises: NDArray[np.float64]) -> NDArray[np.intp]:
    """The columns in which the product touches the ground."""
    least = max(0.5, _TOUCHING * len(xs))
    return np.compress(rises <= least, xs)


def _lower_end(solid: Outline) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """What of the outline could touch the ground; see `_hull`."""
    columns = np.flatnonzero(solid.any(axis=0))
    bottoms = (solid.shape[0] - solid[::-1].argmax(axis=0))[columns].astype(np.float32)
    # A thread or a tag that hangs lower than the rest carries nothing.
    line = np.sort(bottoms)[-1 - len(bottoms) // 50]
    return _hull(columns, np.maximum(0, line - bottoms))


def _hull(
    columns: NDArray[np.intp], rises: NDArray[np.float32]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """What a board pressed from below would follow: legs and heels carry what is between them.

    Returns:
        Every column from the first to the last, and its height above the lowest edge.
    """
    first, last, above = columns[0], columns[-1], float(rises.max()) + 1
    # Two points above all others, so that the hull has no upper side but theirs.
    points = np.column_stack((np.r_[columns, first, last], np.r_[rises, above, above]))
    corners = cv2.convexHull(points.astype(np.float32)).reshape(-1, 2)
    corners = corners[corners[:, 1] < above]
    corners = corners[np.argsort(corners[:, 0])]
    xs = np.arange(first, last + 1)
    return xs, np.interp(xs, corners[:, 0], corners[:, 1])
