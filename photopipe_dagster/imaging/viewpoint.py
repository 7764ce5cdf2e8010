"""From how steeply above a product was photographed, as its round base tells, by its outline alone.

A circle on the ground is an ellipse to a camera that looks down by an angle θ: sin θ times as deep
as it is wide. So the lower end of a can, a cup or a saucer that is seen from above is an arc of an
ellipse with half axes a and b, up to where its sides begin: at a height h above its lowest point,
half the width is √(2 · a² / b · h − (a / b)² · h²). Both factors are fitted to the outline, from
its lowest row up to where it rises by 65°; then sin θ = b / a. The tables of the themes' scenes are
seen from 15° to 18° above: what was seen from much higher would tip towards the camera on them, as
a plate does in a rack.

It is told only where it is beyond doubt: where the arc is an ellipse's on both sides, begins in one
point rather than in an edge, takes much of the product's width, and where the product's upper end
is narrow as well, since anyone who looks at a bowl from the side sees its round body below a flat
rim. Of 27 drawn kinds of cans, cups, plates, jars, bottles, pails, glasses, cakes and hats, 17 are
told from 30° above and 21 or 22 from 35° to 60°: to half a degree at the median, to 3° mostly, and
up to 6° too steep where the lower edge is rounded; bowls, whose body is round itself, look
steeper. The photo of a cup on its saucer has 57°. Of 53 photos of bottles, pails, shoes, shirts
and cushions none is told.

Not told is a round body on a much smaller foot, such as a vase or a teapot, a mug whose handle
covers its base, whatever has corners, and what is seen from right above, which may be a ball.
Something oval that is seen from the side, such as an egg that lies, cannot be told from a plate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

STEEP: Final = 35.0
"""Degrees above which a product does not go together with a table that is seen from 15 to 18. A can
from 30 still looks right there; one from 45 tips."""

_ROUNDEST: Final = 0.92
"""Depth of a base for its width above which it may be a ball's. Balls have 0.95 or more, plates
from 60° above 0.87."""

_SIDE: Final = 256
"""Pixels of the shorter side at which the outline is looked at."""

_THIN: Final = 0.06
"""Half the thickness of handles, spoons and threads, which are left out: share of the shorter side
of the product's box."""

_RISE: Final = 65.0
"""Degrees up to which the outline belongs to the arc; the sides of a cup rise by 70 or more."""

_MISFIT: Final = 0.01
"""Root mean square of what the arc may differ from an ellipse's, share of half the width. Drawn
ones have 0.003 or less, the photo of the cup 0.002, a lager's bottle from the side 0.013, shoes
0.036 or more. Below 100 pixels of width, the rows of pixels alone come near it."""

_EDGE: Final = 0.04
"""Square of half a straight lower edge, share of that of half the width. Round bases from 30° above
have 0.01 or less, cushions and boxes with round corners 0.1 or more."""

_LEAN: Final = 0.25
"""How far the arc may lean aside, for each pixel of its height, as the camera or the product
does."""

_LEAST_WIDTH: Final = 0.4
"""Share of the product's width that the arc takes. That of a paper cup is 0.59 from 60° above, and
less from near."""

_UPPER_WIDTH: Final = 0.68
"""Width just below the upper end, share of the product's. Cans that are seen from 35° above have
0.66 or less, a bowl that is seen from 15° 0.91."""

_UPPER_END: Final = 0.1
"""Where that is: share of half the product's width."""

_CUT: Final = 0.03
"""How far above its lowest edge the product may end without what is thin, share of its width."""

_FEWEST: Final = 8
"""Rows that an ellipse can be fitted to."""

_Widths = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RoundBase:
    """The round base that a product is seen to stand on, in pixels of the cut-out's box.

    Args:
        x: The middle, from the left.
        line: The lowest edge, from the top.
        across: Half the width.
        down: Half the depth, as the camera sees it.
    """

    x: float
    line: float
    across: float
    down: float

    @property
    def y(self) -> float:
        """The middle, from the top."""
        return self.line - self.down

    @property
    def degrees(self) -> float:
        """By how much the camera looked down."""
        return math.degrees(math.asin(min(1.0, self.down / self.across)))

    @property
    def steep(self) -> bool:
        """Whether a ground that is seen from a table's height does not go together with it."""
        return self.degrees > STEEP


def round_base(alpha: NDArray[np.uint8]) -> RoundBase | None:
    """Find the base that a product stands on, if it is round and seen from above.

    Args:
        alpha: (height, width) uint8, the cut-out's box.

    Returns:
        ``None`` where there is none, or where it is not sure.
    """
    # Glass may have no pixel that is more than half opaque.
    level = max(1, min(128, int(alpha.max()) // 2))
    step = max(1, min(alpha.shape) // _SIDE)
    solid = np.ascontiguousarray(alpha[::step, ::step]) >= level
    body = _body(solid)
    if body is None:
        return None
    outline = _Outline.of(body)
    arc = outline.arc()
    if arc is None or not outline.narrow_above():
        return None
    # Rounded, so that a processor's last binary digits decide no pixel of a shadow.
    return RoundBase(*(round(step * float(length), 2) for length in arc))


def _body(solid: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """The product's lowest piece without what is thin; the same shape.

    Returns:
        ``None`` where the product ends below in something thin.
    """
    height, width = solid.shape
    radius = max(1.0, _THIN * min(solid.shape))
    rim = math.ceil(radius) + 1
    framed = np.pad(solid, rim).astype(np.uint8)
    # What is farther inside than the radius, and what is no farther from that.
    core = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_5) <= radius
    away = cv2.distanceTransform(core.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    thick = (away[rim:-rim, rim:-rim] <= radius) & solid
    rows = np.flatnonzero(thick.any(axis=1))
    if not rows.size or height - 1 - rows[-1] > _CUT * width:
        return None
    _, labels = cv2.connectedComponents(thick.astype(np.uint8))
    lowest = labels[rows[-1]]
    return np.asarray(labels == lowest[lowest > 0][0])


@dataclass(frozen=True, slots=True)
class _Outline:
    """Of a piece, row by row from the lowest one up.

    Args:
        line: The lowest edge, from the top.
        half: Half the width of each row.
        middle: The middle of each row, from the left.
    """

    line: int
    half: _Widths
    middle: _Widths

    @classmethod
    def of(cls, body: NDArray[np.bool_]) -> _Outline:
        rows = np.flatnonzero(body.any(axis=1))
        upward = body[rows[0] : rows[-1] + 1][::-1]
        left = upward.argmax(axis=1)
        right = body.shape[1] - upward[:, ::-1].argmax(axis=1)
        return cls(int(rows[-1]) + 1, (right - left) / 2, (right + left) / 2)

    def narrow_above(self) -> bool:
        """Whether the upper end is that of something seen from above."""
        widest = self.half.max()
        below = min(len(self.half) - 1, round(_UPPER_END * widest))
        return bool(self.half[::-1][below] <= _UPPER_WIDTH * widest)

    def arc(self) -> tuple[float, float, float, float] | None:
        """Middle, lowest edge, half the width and half the depth of the ellipse that it ends in.

        Returns:
            ``None`` where it does not end in one, or in that of a ball.
        """
        end, widest = self._end(), self.half.max()
        if end < _FEWEST or self.half[end - 1] < _LEAST_WIDTH * widest:
            return None
        heights, half = np.arange(end) + 0.5, self.half[:end]
        # Errors of the width, not of its square, are to be least.
        weights = 1 / np.maximum(half, 1)
        terms = np.column_stack((np.ones(end), heights, heights * heights))
        edge, rise, bend = np.linalg.lstsq(terms * weights[:, None], half, rcond=None)[0]
        if bend >= 0:
            return None
        squares = edge + rise * heights + bend * heights * heights
        lean = np.polyfit(heights, self.middle[:end], 1)
        misfit = max(
            _root_mean_square(np.sqrt(np.maximum(0, squares)) - half),
            _root_mean_square(np.polyval(lean, heights) - self.middle[:end]),
        )
        if misfit > _MISFIT * widest or abs(edge) > _EDGE * widest**2 or abs(lean[0]) > _LEAN:
            return None
        down = -rise / (2 * bend)
        across = math.sqrt(max(0.0, edge - rise * rise / (4 * bend)))
        if not 0 < down <= _ROUNDEST * across:
            return None
        return float(np.polyval(lean, down)), float(self.line), across, down

    def _end(self) -> int:
        """The row in which the arc has become a side."""
        smooth = cv2.GaussianBlur(self.half[:, None], (1, 0), 0, sigmaY=2)[:, 0]
        widening = np.gradient(smooth) if len(smooth) > 1 else np.zeros(1)
        steep = np.flatnonzero(widening[_FEWEST // 2 :] < 1 / math.tan(math.radians(_RISE)))
        return _FEWEST // 2 + int(steep[0]) if steep.size else len(smooth)


def _root_mean_square(differences: _Widths) -> float:
    return math.sqrt(float((differences * differences).mean()))
