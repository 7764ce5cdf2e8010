"""Where a product comes to stand in its picture, and how large: sums on boxes, no pixels.

Nothing heavy is imported here, so that themes can carry a placement.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final, Self

from photopipe_dagster.core.json_text import STRICT


@dataclass(frozen=True, slots=True)
class SizeLimit:
    """The largest picture that is made.

    Args:
        side: Pixels of the longer side.
        pixels: Width times height.
    """

    side: int
    pixels: int

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """The largest size of the same shape that is allowed, at most the given one; pixels."""
        shrink = min(1.0, self.side / max(width, height))
        shrink = min(shrink, math.sqrt(self.pixels / (width * height)))
        if shrink == 1.0:
            return width, height
        return max(1, math.floor(width * shrink)), max(1, math.floor(height * shrink))


TWENTY_MEGAPIXELS: Final = SizeLimit(side=4472, pixels=20_000_000)
"""For where it is not known what the shop takes. A picture that was made by it is not made again
for a shop that takes no more and no less."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are exclusive."""

_CANVAS = re.compile(r"([1-9]\d{0,4})([x:])([1-9]\d{0,4})")


@dataclass(frozen=True, slots=True)
class Canvas:
    """The picture's size, or its shape alone.

    Args:
        width: Pixels, or the ratio's first number.
        height: Pixels, or the ratio's second number.
        fixed: Whether these are pixels.
    """

    width: int
    height: int
    fixed: bool

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read ``2048x2048`` (pixels) or ``4:5`` (a ratio); nothing for an empty text.

        Raises:
            ValueError: It is neither.
        """
        if not text:
            return None
        found = _CANVAS.fullmatch(text)
        if found is None:
            raise ValueError(f"a canvas is like 2048x2048 or 4:5, not {text!r}")
        return cls(int(found[1]), int(found[3]), found[2] == "x")

    def size(self, photo: tuple[int, int], limit: SizeLimit = TWENTY_MEGAPIXELS) -> tuple[int, int]:
        """Width and height in pixels for a photo of that size: a ratio holds the whole photo."""
        if self.fixed:
            return limit.fit(self.width, self.height)
        width, height = photo
        ratio = self.width / self.height
        if width / height < ratio:
            return limit.fit(max(1, round(height * ratio)), height)
        return limit.fit(width, max(1, round(width / ratio)))


@dataclass(frozen=True, slots=True)
class Placement:
    """How a product sits in its picture.

    Args:
        share: How much of the frame the product spans, 0 to 1: of its width or of its height,
            whichever it fills more. ``None``: as large as in the photo.
        ground: The highest line that a product stands on, as a share of the height from the top:
            one that would stand above it is moved down. ``None``: nothing is moved.
        max_scale: How much the product may be enlarged. A smaller canvas is taken instead.
        min_side: Pixels of the longer side below which the canvas is not made smaller: there
            the product is enlarged after all, and the spot's scale tells so.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    share: float | None = None
    ground: float | None = None
    max_scale: float = 1.0
    min_side: int = 1

    def __post_init__(self) -> None:
        if self.share is not None and not 0.1 <= self.share <= 1:
            raise ValueError(f"share is 0.1 to 1, not {self.share}")
        if self.ground is not None and not 0 < self.ground < 1:
            raise ValueError(f"ground is between 0 and 1, not {self.ground}")
        if self.max_scale < 1 or self.min_side < 1:
            raise ValueError("max_scale and min_side are at least 1")


AS_PHOTOGRAPHED = Placement()
"""Where the photographer had it, at its own size."""


class Scale(StrEnum):
    """What decides how large a product of a scene is."""

    FILL = "fill"
    """Its placement: its share of the frame, or its size in the photo."""
    OPTICAL = "optical"
    """All look equally large."""
    TRUE = "true"
    """Its height in life."""
    CLASS = "class"
    """Its class, XS to XL."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Where products stand in a picture that is cut out of a scene, and how large one is.

    Args:
        ground: The line that a product's base meets, as a share of the height from the top.
        left: Where the standing area begins, as a share of the width.
        right: Where it ends.
        optical: Square root of the area of the product's convex hull, as a share of the square
            root of the picture's area.
        height: The product's height, as a share of the picture's. Without either, the placement
            decides.
    """

    ground: float
    left: float = 0.0
    right: float = 1.0
    optical: float | None = None
    height: float | None = None


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a photo, and the product in it, is laid in a picture.

    Args:
        width: Pixels of the picture.
        height: Pixels.
        scale_x: The picture's pixels for one of the photo's, across.
        scale_y: Down; it differs from `scale_x` by rounding at most.
        left: Where the photo's left edge lies in the picture, pixels; may be negative.
        top: Where its top edge lies.
    """

    width: int
    height: int
    scale_x: float
    scale_y: float
    left: float
    top: float

    @property
    def scale(self) -> float:
        """How much the product is enlarged (over 1) or shrunk."""
        return max(self.scale_x, self.scale_y)

    @property
    def moved_only(self) -> bool:
        """Whether the product keeps its pixels."""
        return self.scale_x == self.scale_y == 1


def frame_share(box: Box, width: int, height: int) -> float:
    """How much of a frame a box spans: of its width or its height, whichever it fills more."""
    return max((box[2] - box[0]) / width, (box[3] - box[1]) / height)


def place(
    box: Box,
    size: tuple[int, int],
    placement: Placement = AS_PHOTOGRAPHED,
    canvas: Canvas | None = None,
    *,
    stands: bool = True,
    limit: SizeLimit = TWENTY_MEGAPIXELS,
) -> Spot:
    """Find a product's place.

    A product that the photo's frame cuts off stays at that edge of the picture, so that it does
    not end in mid-air.

    Args:
        box: The product in the photo, pixels.
        size: Width and height of the photo, pixels.
        placement: What is asked for.
        canvas: The picture's size or shape; the photo's own where not given.
        stands: Whether the product's lower end is in the photo and may stand on a ground.
        limit: The largest picture; more is shrunk.
    """
    asked = limit.fit(*size) if canvas is None else canvas.size(size, limit)
    scale_x, scale_y = _scales(box, size, asked, placement)
    spare = placement.max_scale / max(scale_x, scale_y)
    if spare < 1:
        asked, shrunk = _shrunk(asked, spare, placement.min_side)
        scale_x, scale_y = _scales(box, size, asked, placement)
        if not shrunk > spare:  # rounding to whole pixels must not resample what fits as it is
            scale_x = scale_y = placement.max_scale
    left, top = _corner(box, size, asked, (scale_x, scale_y), placement, stands=stands)
    if scale_x == scale_y == 1:
        left, top = round(left), round(top)
    return Spot(*asked, scale_x, scale_y, left, top)


_HEADROOM: Final = 0.04
"""Share of the picture's height that is kept free above a product that stands in a scene."""


def place_in_scene(
    box: Box,
    size: tuple[int, int],
    canvas: tuple[int, int],
    stand: Stand,
    placement: Placement = AS_PHOTOGRAPHED,
    *,
    hull_area: float,
) -> Spot:
    """Find a product's place in a scene: its base on the ground line, amid the standing area.

    What is too large for the standing area is made smaller. A product that the photo's frame cuts
    off stays at that edge of the picture.

    Args:
        box: The product in the photo, pixels.
        size: Width and height of the photo, pixels.
        canvas: Width and height of the scene's part, pixels.
        placement: Its share decides the size where the stand does not; and how much the product
            may be enlarged.
        hull_area: Of the product in the photo, pixels.
    """
    width, height = box[2] - box[0], box[3] - box[1]
    roomy = (stand.right - stand.left) * canvas[0] / width
    high = (stand.ground - _HEADROOM) * canvas[1] / height
    if stand.optical is not None:
        scale = stand.optical * math.sqrt(canvas[0] * canvas[1] / hull_area)
    elif stand.height is not None:
        scale = stand.height * canvas[1] / height
    else:
        scale = min(_scales(box, size, canvas, placement))
    scale = min(scale, roomy, high)
    spare = placement.max_scale / scale
    if spare < 1:
        smaller, shrunk = _shrunk(canvas, spare, placement.min_side)
        scale, canvas = scale * shrunk, smaller
    corner = []
    middle = ((stand.left + stand.right) / 2 * canvas[0], stand.ground * canvas[1])
    for axis, anchor in ((0, (box[0] + box[2]) / 2), (1, float(box[3]))):
        first, last = box[axis] == 0, box[axis + 2] == size[axis]
        if first != last and (axis == 0 or last):
            corner.append(0.0 if first else canvas[axis] - size[axis] * scale)
        else:
            corner.append(middle[axis] - anchor * scale)
    return Spot(*canvas, scale, scale, corner[0], corner[1])


def _scales(
    box: Box, size: tuple[int, int], canvas: tuple[int, int], placement: Placement
) -> tuple[float, float]:
    """The scale across and down. They differ only where a size of the same shape was rounded:
    there the photo fills it, lest a product that the frame cuts off ends short of the frame.
    """
    if placement.share is not None:
        across = placement.share * canvas[0] / (box[2] - box[0])
        down = placement.share * canvas[1] / (box[3] - box[1])
        return min(across, down), min(across, down)
    across, down = canvas[0] / size[0], canvas[1] / size[1]
    if abs(across - down) < 1 / size[0] + 1 / size[1]:
        return across, down
    return min(across, down), min(across, down)


def _shrunk(canvas: tuple[int, int], factor: float, min_side: int) -> tuple[tuple[int, int], float]:
    """A smaller canvas of the same shape, and the factor that it came to."""
    factor = min(1.0, max(factor, min_side / max(canvas)))
    return (max(1, round(canvas[0] * factor)), max(1, round(canvas[1] * factor))), factor


def _corner(
    box: Box,
    size: tuple[int, int],
    canvas: tuple[int, int],
    scales: tuple[float, float],
    placement: Placement,
    *,
    stands: bool,
) -> tuple[float, float]:
    """Where the photo's left top corner comes to lie."""
    corner = []
    for axis in (0, 1):
        low, high = box[axis] * scales[axis], box[axis + 2] * scales[axis]
        whole, room = size[axis] * scales[axis], canvas[axis]
        first, last = box[axis] == 0, box[axis + 2] == size[axis]
        if first != last:
            corner.append(0.0 if first else room - whole)
        elif placement.share is None:
            corner.append((room - whole) / 2)
        else:
            corner.append((room - low - high) / 2)
    left, top = corner
    if placement.ground is not None and stands and box[1] > 0:
        height = (box[3] - box[1]) * scales[1]
        line = max(placement.ground * canvas[1], height)  # never out of the picture's top
        top = max(top, min(line, canvas[1]) - box[3] * scales[1])
    return left, top
