"""What a person does to a cut-out by hand: brush strokes and clicks, applied to its alpha.

Places are fractions of the photo's width and height, sizes fractions of its longer side, so that
an operation means the same at every resolution. The same operations on the same cut-out give the
same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from photopipe_dagster.imaging.matting import edge_colour

MAX_OPERATIONS: Final = 500
MAX_POINTS: Final = 2000
"""Of one stroke."""

_SOLID: Final = 128
"""Alpha of 255 from which a pixel counts as product."""

_SUBPIXEL_BITS: Final = 4
"""OpenCV draws at sixteenths of a pixel."""

_SOFT: Final = 1.0
"""Standard deviation of a stroke's edge, pixels: a cut-out's own edge is about as soft."""

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Tool(StrEnum):
    """What an operation does."""

    KEEP = "keep"
    """A stroke: what it covers is product."""
    REMOVE = "remove"
    """A stroke: what it covers is not."""
    ADD_AREA = "add_area"
    """A click: the ground of one colour around it is product."""
    REMOVE_AREA = "remove_area"
    """A click: the product of one colour around it is ground, such as seen through a handle."""
    FILL_HOLE = "fill_hole"
    """A click: the hole around it, which the product encloses, is product."""
    ONLY_THIS = "only_this"
    """A click: the piece around it is the product, and all others are not."""


STROKES: Final = (Tool.KEEP, Tool.REMOVE)


class Operation(BaseModel):
    """One stroke or click.

    Args:
        points: x and y of the stroke's corners, or of the click: its first point.
        size: Diameter of a stroke.
        tolerance: How far a colour may be from the one clicked on, levels of 255 a channel.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: Tool
    points: Annotated[
        tuple[tuple[Fraction, Fraction], ...], Field(min_length=1, max_length=MAX_POINTS)
    ]
    size: Annotated[float, Field(gt=0, le=0.5, allow_inf_nan=False)] = 0.02
    tolerance: Annotated[int, Field(ge=1, le=128)] = 24


def retouched(
    photo: NDArray[np.uint8], alpha: NDArray[np.uint8], operations: Sequence[Operation]
) -> NDArray[np.uint8]:
    """A cut-out's alpha after some operations, one after another.

    Args:
        photo: (height, width, 3) uint8, sRGB.
        alpha: (height, width) uint8.

    Returns:
        A new array of the shape of ``alpha``.
    """
    alpha = alpha.copy()
    for each in operations:
        if each.tool in STROKES:
            _draw(alpha, each)
        else:
            _click(photo, alpha, each)
    return alpha


def repainted(
    photo: NDArray[np.uint8],
    before: NDArray[np.uint8],
    alpha: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """The cut-out with another alpha: where that changed, with the product's own colours.

    Args:
        photo: (height, width, 3) uint8, sRGB.
        before: (height, width, 4) uint8, straight alpha: the cut-out as it was.
        alpha: (height, width) uint8.

    Returns:
        (height, width, 4) uint8; its pixels are those of ``before`` where alpha is unchanged.
    """
    result = before.copy()
    changed = alpha != before[..., 3]
    colours = edge_colour(photo, np.asarray(alpha, np.float32) / np.float32(255))
    result[changed, :3] = colours[changed]
    result[..., 3] = alpha
    return result


def _draw(alpha: NDArray[np.uint8], stroke: Operation) -> None:
    height, width = alpha.shape
    corners = np.array(stroke.points) * (width - 1, height - 1)
    thickness = max(1, round(stroke.size * max(height, width)))
    reach = thickness + 4
    left, top = np.maximum(corners.min(axis=0).astype(int) - reach, 0)
    right, bottom = corners.max(axis=0).astype(int) + reach + 1
    part = alpha[top:bottom, left:right]
    covered = np.zeros(part.shape, np.uint8)
    places = np.rint((corners - (left, top)) * 2**_SUBPIXEL_BITS).astype(np.int32)
    if len(places) == 1:
        centre = (int(places[0][0]), int(places[0][1]))
        radius = max(1, thickness * 2 ** (_SUBPIXEL_BITS - 1))
        cv2.circle(covered, centre, radius, 255, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)
    else:
        cv2.polylines(covered, [places], False, 255, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
    _settle(part, covered, product=stroke.tool is Tool.KEEP)


def _click(photo: NDArray[np.uint8], alpha: NDArray[np.uint8], click: Operation) -> None:
    height, width = alpha.shape
    across, down = click.points[0]
    column, row = round(across * (width - 1)), round(down * (height - 1))
    product = alpha >= _SOLID
    adds = click.tool in (Tool.ADD_AREA, Tool.FILL_HOLE)
    if bool(product[row, column]) is adds:
        return  # it is what it is to become
    if click.tool in (Tool.ADD_AREA, Tool.REMOVE_AREA):
        within = ~product if adds else product
        _settle(alpha, _alike(photo, within, (column, row), click.tolerance), product=adds)
        return
    count, pieces = cv2.connectedComponents(
        (product ^ adds).astype(np.uint8), connectivity=4 if adds else 8
    )
    here = pieces == pieces[row, column]
    if click.tool is Tool.ONLY_THIS:
        if count > 2:
            near = cv2.dilate(here.astype(np.uint8), np.ones((5, 5), np.uint8))
            alpha[near == 0] = 0
        return
    rim = np.concatenate((here[0], here[-1], here[:, 0], here[:, -1]))
    if not rim.any():  # else it is no hole
        alpha[cv2.dilate(here.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0] = 255


def _alike(
    photo: NDArray[np.uint8],
    within: NDArray[np.bool_],
    place: tuple[int, int],
    tolerance: int,
) -> NDArray[np.uint8]:
    """255 for what hangs together with a place and has its colour."""
    smooth = cv2.blur(photo, (3, 3))
    marked = np.pad((~within).astype(np.uint8), 1, constant_values=1)
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (255 << 8)
    distance = (tolerance,) * 3
    cv2.floodFill(smooth, marked, place, 0, distance, distance, flags)
    area = (marked[1:-1, 1:-1] == 255).astype(np.uint8) * 255
    # Single pixels that noise has left out are of the area.
    closed = cv2.morphologyEx(area, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return np.asarray(closed, np.uint8)


def _settle(alpha: NDArray[np.uint8], covered: NDArray[np.uint8], *, product: bool) -> None:
    """What is covered becomes product, or ground; in place, with a soft edge."""
    soft = np.asarray(cv2.GaussianBlur(covered, (0, 0), _SOFT), np.uint8)
    if product:
        np.maximum(alpha, soft, out=alpha)
    else:
        np.minimum(alpha, 255 - soft, out=alpha)
