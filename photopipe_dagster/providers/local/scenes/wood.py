"""Weathered planks: growth rings, fibres, knots, cracks and the gaps between them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.providers.local.scenes.frame import Floats
from photopipe_dagster.providers.local.scenes.noise import NoiseField, resolved, smoothstep
from photopipe_dagster.providers.local.scenes.surface import Surface

_EXTENT = 5.0
"""Half of the width of the boards that are laid, units at the product's place."""

_KNOT_CELL = 1.9
"""A plank has at most one knot in each such length, units."""

_RINGS = 38.0
"""Growth rings in a unit."""

_EARLYWOOD = np.array([0.315, 0.205, 0.128], dtype=np.float32)
_LATEWOOD = np.array([0.105, 0.060, 0.034], dtype=np.float32)
_PATINA = np.array([0.235, 0.205, 0.178], dtype=np.float32)
_DARK = np.array([0.028, 0.018, 0.011], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Boards:
    """Planks side by side, each with its own tree.

    Args:
        edges: Positions of the gaps across the table, rising, units.
        tone: Brightness of each plank about 1.
        shift: Where in the noise each plank is cut, (planks, 2).
        knots: For each plank and cell: position across (fraction), along (fraction), size (units;
            0 for none): (planks, cells, 3).
    """

    edges: Floats
    tone: Floats
    shift: Floats
    knots: Floats

    @classmethod
    def laid(cls, rng: np.random.Generator) -> Boards:
        """Lay planks of varying width."""
        widths = rng.uniform(0.19, 0.27, 60)
        edges = np.cumsum(widths) - widths.sum() / 2
        count, cells = len(edges), 8
        knots = rng.uniform((0.25, 0.3, 0.014), (0.75, 0.7, 0.034), (count, cells, 3))
        knots[..., 2] *= rng.random((count, cells)) < 0.42
        return cls(
            edges=edges.astype(np.float32),
            tone=rng.uniform(0.78, 1.18, count).astype(np.float32),
            shift=rng.uniform(0, 64, (count, 2)).astype(np.float32),
            knots=knots.astype(np.float32),
        )

    def plank_at(self, across: Floats) -> NDArray[np.intp]:
        """Number of the plank at each position."""
        steps = 4096
        grid = np.linspace(-_EXTENT, _EXTENT, steps)
        table = np.clip(np.searchsorted(self.edges, grid) - 1, 0, len(self.edges) - 2)
        cell = (across + np.float32(_EXTENT)) * np.float32((steps - 1) / (2 * _EXTENT))
        return np.asarray(table[np.clip(cell, 0, steps - 1).astype(np.intp)])


def planks(surface: Surface, boards: Boards, noise: NoiseField) -> tuple[Floats, Floats]:
    """The boards as the camera sees them.

    Returns:
        Reflectance (rows, columns, 3), and height of the relief (rows, columns), about 0 to -1.
    """
    across, along = surface.across, surface.along
    pixel = surface.footprint
    plank = boards.plank_at(across)
    grain_across = across + boards.shift[plank, 0]
    grain_along = along + boards.shift[plank, 1]
    flow, knot = _knots(boards, plank, across, along)
    rings = _rings(noise, grain_across + flow, grain_along, pixel)
    fibre = noise.fractal(
        grain_across * np.float32(110),
        grain_along * np.float32(0.9),
        4,
        footprint=110 * pixel,
        gain=0.9,
    )
    crack = _cracks(noise, grain_across + flow * np.float32(0.7), grain_along, pixel)
    gap = _gaps(boards, plank, across, pixel)
    cloud = noise.fractal(grain_across * np.float32(2.2), grain_along * np.float32(0.5), 2, first=9)
    colour = _colour(rings, fibre, cloud)
    colour *= boards.tone[plank][..., None]
    for darkness in (knot * np.float32(0.8), crack * np.float32(0.85), gap):
        colour += (_DARK - colour) * darkness[..., None]
    relief = np.float32(0.10) * fibre - np.float32(0.16) * rings - crack - gap * np.float32(1.5)
    return colour, relief


def _colour(rings: Floats, fibre: Floats, cloud: Floats) -> Floats:
    """Wood from ring to ring, greyed by the weather in patches, streaked by its fibres."""
    weathered = np.float32(0.22) + np.float32(0.55) * smoothstep(-0.7, 0.9, cloud)
    colour = _EARLYWOOD + (rings * np.float32(0.62))[..., None] * (_LATEWOOD - _EARLYWOOD)
    colour += weathered[..., None] * (_PATINA * (1 - np.float32(0.35) * rings[..., None]) - colour)
    colour *= (1 + np.float32(0.16) * fibre)[..., None]
    return np.asarray(np.maximum(colour, np.float32(0.02)), dtype=np.float32)


def _knots(
    boards: Boards, plank: NDArray[np.intp], across: Floats, along: Floats
) -> tuple[Floats, Floats]:
    """How the grain flows around knots, and the knots' own darkness.

    Returns:
        Displacement of the grain across the plank, units; darkness 0 to 1.
    """
    position = along / np.float32(_KNOT_CELL)
    cell = position.astype(np.intp) % boards.knots.shape[1]
    mine = boards.knots[plank, cell]
    left = boards.edges[plank]
    width = boards.edges[plank + 1] - left
    size = np.maximum(mine[..., 2], np.float32(1e-4))
    aside = (across - left - mine[..., 0] * width) / size
    ahead = (position - np.floor(position) - mine[..., 1]) * np.float32(_KNOT_CELL) / size
    square = aside * aside + (ahead * np.float32(0.62)) ** 2
    distance = np.sqrt(square)
    # Fibres part before the knot and close behind it, over some five times its length.
    spread = np.exp(-((aside * np.float32(0.3)) ** 2) - (ahead * np.float32(0.11)) ** 2)
    flow = np.tanh(aside * np.float32(1.2)) * size * spread * np.float32(-1.0)
    heart = smoothstep(1.25, 0.55, distance)
    heart *= np.float32(0.72) + np.float32(0.28) * np.cos(distance * np.float32(14))
    collar = np.float32(0.35) * smoothstep(3.2, 1.0, distance)
    there = mine[..., 2] > 0
    return np.asarray(flow * there), np.asarray(np.maximum(heart, collar) * there)


def _rings(noise: NoiseField, across: Floats, along: Floats, pixel: Floats) -> Floats:
    """Latewood lines, 0 to 1: where the saw cut through the year's rings."""
    # A board cut beside the heart shows rings as long flames: their phase drifts along it.
    drift = noise.fractal(across * np.float32(3.2), along * np.float32(0.30), 3, gain=0.45, first=3)
    phase = across * np.float32(_RINGS) + drift * np.float32(3.0)
    # Good years and bad: rings are of uneven width.
    phase += np.float32(0.55) * noise.at(phase * np.float32(0.45), along * np.float32(0.05), 13)
    year = phase - np.floor(phase)
    line = smoothstep(0.1, 0.86, year) ** 2 * smoothstep(1.0, 0.93, year)
    vigour = np.float32(0.65) + np.float32(0.35) * noise.at(
        across * np.float32(7), along * np.float32(0.3), 12
    )
    seen = resolved(pixel * np.float32(_RINGS * 1.6))
    return np.asarray(np.float32(0.4) + (line - np.float32(0.4)) * seen * vigour)


def _cracks(noise: NoiseField, across: Floats, along: Floats, pixel: Floats) -> Floats:
    """Drying cracks along the fibres, 0 to 1."""
    field = noise.fractal(across * np.float32(9), along * np.float32(0.55), 2, first=5)
    where = noise.at(across * np.float32(5), along * np.float32(0.8), 8)
    thin = np.float32(0.05) + pixel * np.float32(9)
    crack = np.clip(1 - np.abs(field) / thin, 0, 1) * (np.float32(0.05) / thin)
    return np.asarray(crack * smoothstep(0.0, 0.7, where), dtype=np.float32)


def _gaps(boards: Boards, plank: NDArray[np.intp], across: Floats, pixel: Floats) -> Floats:
    """The dark gaps between planks with their worn edges, 0 to 1."""
    left = boards.edges[plank]
    inside = np.minimum(across - left, boards.edges[plank + 1] - across)
    half = np.float32(0.0028)
    blur = pixel * np.float32(0.8) + np.float32(0.0012)
    gap = np.clip((half - np.abs(inside)) / blur + np.float32(0.5), 0, 1)
    worn = np.float32(0.38) * np.exp(-np.abs(inside) / np.float32(0.006))
    return np.asarray(np.maximum(gap, worn), dtype=np.float32)


def lit_relief(relief: Floats, pixel: Floats, strength: float) -> Floats:
    """Brightness of a rough surface under a low light from the left, about 1."""
    change: Floats = np.asarray(cv2.Sobel(relief, -1, 1, 0, ksize=3, scale=1 / 8), np.float32)
    slope = change * (np.float32(0.0016) / pixel)
    return np.asarray(1 + np.clip(slope * np.float32(strength), -0.5, 0.6), dtype=np.float32)
