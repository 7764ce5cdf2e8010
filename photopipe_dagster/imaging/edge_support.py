"""Whether the outline of a cut-out lies on the edges of its photo. No network is asked.

An outline that is right follows the photo's edges better than the same outline anywhere beside it.
One that has been moved, grown or shrunk does not; and where the photo has edges everywhere, such as
grass, or none at all, nothing can be said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.imaging.colour import lab
from photopipe_dagster.imaging.measures import View

_EXTENT: Final = 256
"""The product's longer side when it is looked at, pixels."""

_AT_LEAST: Final = 16
"""Ground around it that is looked at, pixels."""

_ENOUGH: Final = 40.0
"""Slope (CIE Lab, of Sobel's filter, a pixel) that is an edge; a steeper one is no better."""

_NEXT_TO_NONE: Final = 0.2
"""Mean strength under which nobody sees an edge."""

_MOVES: Final = (0.05, 0.1)
"""How far the outline is moved to compare, share of the product's longer side."""

_WINDOW: Final = 0.15
"""Stretch of the outline that must not lie off all edges, share of its length."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EdgeSupport:
    """How an outline lies on the edges of its photo.

    Args:
        here: Mean strength of the edges under it, 0 to 1.
        elsewhere: The same, at most, of the outline when it is moved a little.
        worst: The same as `here`, of its worst stretch.
    """

    here: float = 0.0
    elsewhere: float = 0.0
    worst: float = 0.0

    @property
    def lead(self) -> float:
        """How many times as strong the edges are under the outline as beside it.

        Where there are next to none on either side, it is near 0.
        """
        return self.here / max(_NEXT_TO_NONE, self.elsewhere)


def edge_support(view: View) -> EdgeSupport:
    """Look at an outline and at the photo under it; where none is within the frame, all is 0."""
    solid = (view.alpha >= 128).astype(np.uint8)
    left, top, width, height = cv2.boundingRect(solid)
    if not width:
        return EdgeSupport()
    scale = _EXTENT / max(width, height)
    margin = int(max(_AT_LEAST, 2 * max(_MOVES) * _EXTENT) / scale) + 1
    rows = slice(max(0, top - margin), top + height + margin)
    columns = slice(max(0, left - margin), left + width + margin)
    photo = view.photo[rows, columns]
    size = (max(8, round(photo.shape[1] * scale)), max(8, round(photo.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    rgb = np.asarray(cv2.resize(photo, size, interpolation=how), np.uint8)
    mask = cv2.resize(view.alpha[rows, columns], size, interpolation=how)
    outlines = _outlines(np.asarray(mask >= 128, np.uint8))
    if not outlines:
        return EdgeSupport()
    edges = _edges(rgb)
    every = np.concatenate(outlines)
    moved = [_mean(edges, every + move) for move in _around(max(_MOVES) * _EXTENT)]
    moved += [_mean(edges, every + move) for move in _around(min(_MOVES) * _EXTENT)]
    return EdgeSupport(
        here=_mean(edges, every),
        elsewhere=max(moved),
        worst=min(_worst(edges, each, len(every)) for each in outlines),
    )


def _outlines(mask: NDArray[np.uint8]) -> list[NDArray[np.intp]]:
    """Points (column, row) of each outline that is long enough, without those at the frame."""
    contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    points = [each.reshape(-1, 2).astype(np.intp) for each in contours]
    total = sum(map(len, points))
    height, width = mask.shape
    inner = []
    for each in points:
        x, y = each.T
        kept = each[(x > 1) & (y > 1) & (x < width - 2) & (y < height - 2)]
        if len(kept) > max(8, 0.02 * total):
            inner.append(kept)
    return inner


def _edges(rgb: NDArray[np.uint8]) -> Floats:
    """Strength of the strongest edge within two pixels, 0 to 1."""
    smooth = cv2.GaussianBlur(np.asarray(lab(rgb), np.float32), (0, 0), 1.0)
    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3)
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3)
    slope = np.sqrt((across * across + down * down).sum(axis=-1))
    strongest = cv2.dilate(slope, np.ones((3, 3), np.uint8))
    return np.asarray(np.minimum(strongest / _ENOUGH, 1), np.float32)


def _around(distance: float) -> list[NDArray[np.intp]]:
    turns = np.arange(8) * (np.pi / 4)
    steps = np.rint(distance * np.column_stack((np.cos(turns), np.sin(turns))))
    return list(steps.astype(np.intp))


def _at(edges: Floats, points: NDArray[np.intp]) -> Floats:
    height, width = edges.shape
    inside = (points >= 0).all(axis=1) & (points[:, 0] < width) & (points[:, 1] < height)
    x, y = points[inside].T
    return np.asarray(edges[y, x], np.float32)


def _mean(edges: Floats, points: NDArray[np.intp]) -> float:
    found = _at(edges, points)
    return float(found.mean()) if len(found) else 0.0


def _worst(edges: Floats, outline: NDArray[np.intp], total: int) -> float:
    found = _at(edges, outline)
    window = min(len(found), max(8, round(_WINDOW * total)))
    ring: Any = np.concatenate((found, found[: window - 1]))
    return float(np.convolve(ring, np.full(window, 1 / window), "valid").min())
