"""A table of boards: growth rings, fibres, pores, cracks and the gaps between the boards.

A board is a plane through a tree: its rings are where that plane cuts the cylinders of the years.
Close to the heart they show as long flames, far from it as straight lines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.providers.local.scenes.frame import Colour, Floats
from photopipe_dagster.providers.local.scenes.noise import NoiseField, resolved, smoothstep
from photopipe_dagster.providers.local.scenes.surface import Surface

_EXTENT = 6.0
"""Half of the width that boards are laid for, units at the product's place."""

_PORES = 560.0
"""Pores to the unit, across the fibres."""

_DARK = np.array([0.022, 0.015, 0.010], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Wood:
    """A kind of wood, and how its boards lie.

    Args:
        early: Reflectance of what grows in spring, linear RGB.
        late: That of the darker wood of summer.
        grey: That of weathered wood.
        weathered: How much of it is weathered, 0 to 1.
        rings: Strength of the rings, 0 to 1.
        years: Rings to the unit, about 2.5 to 4 mm each.
        pores: Strength of the pores, 0 to 1.
        cracks: Strength of the drying cracks, 0 to 1.
        widths: Range of the boards' widths, units.
        turns: Directions in which the boards may run, degrees: 0 away from the camera, 90 from
            left to right.
    """

    early: Colour
    late: Colour
    grey: Colour
    weathered: float
    rings: float
    years: float
    pores: float
    cracks: float
    widths: tuple[float, float]
    turns: tuple[float, ...]

    def seen(self, surface: Surface, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """The boards as the camera sees them.

        Returns:
            Reflectance (rows, columns, 3), and height of the relief (rows, columns), about 0 to -1.
        """
        noise = NoiseField(rng)
        view = _View.of(surface, float(rng.choice(self.turns)) + float(rng.uniform(-5, 5)))
        boards = _Boards.laid(rng, self.widths)
        board = boards.board_at(view.side)
        year = self._years(noise, view, boards, board)
        run = view.run + boards.shift[board]
        side = view.side + boards.shift[board] * np.float32(0.37)
        fibre = noise.fractal(
            side * np.float32(95),
            run * np.float32(1.3),
            4,
            footprint=np.float32(95) * view.pixel_side,
            gain=0.85,
        )
        cloud = noise.fractal(side * np.float32(2.6), run * np.float32(0.6), 3, first=9)
        gap = boards.gaps(board, view)
        crack = np.float32(self.cracks) * _cracks(noise, side, run, view)
        pore = np.float32(self.pores) * _pores(noise, side, run, year, view)
        colour = self._colour(year, fibre, cloud) * boards.tone[board][..., None]
        for darkness in (pore, crack, gap):
            colour += (_DARK - colour) * darkness[..., None]
        relief = np.float32(0.12) * fibre - np.float32(0.15) * year - pore - crack - 2 * gap
        return np.asarray(colour, np.float32), np.asarray(relief, np.float32)

    def _years(
        self, noise: NoiseField, view: _View, boards: _Boards, board: NDArray[np.intp]
    ) -> Floats:
        """From early (0) to late wood (1) of each year, faded where a pixel covers several."""
        run = view.run + boards.shift[board]
        wave = noise.fractal(run * np.float32(0.5), view.side * np.float32(0.6), 3, first=3)
        small = noise.fractal(run * np.float32(4), view.side * np.float32(9), 3, first=11, gain=0.6)
        aside = view.side - boards.middle[board] - boards.heart[board, 0]
        aside += np.float32(0.012) * wave
        depth = (
            boards.heart[board, 1] + boards.heart[board, 2] * view.run + np.float32(0.014) * wave
        )
        radius = np.sqrt(aside * aside + depth * depth) + np.float32(0.0016) * small
        years = np.float32(self.years)
        # Good years and bad.
        phase = radius * years + np.float32(0.9) * noise.at(radius * np.float32(28), run * 0, 13)
        year = phase - np.floor(phase)
        line = smoothstep(0.25, 0.9, year) * smoothstep(1.0, 0.92, year)
        steep = np.abs(aside) * view.pixel_side + np.abs(depth) * np.float32(0.05) * view.pixel_run
        seen = resolved(years * np.float32(1.5) * steep / np.maximum(radius, np.float32(1e-3)))
        return np.asarray(np.float32(0.36) + (line - np.float32(0.36)) * seen, np.float32)

    def _colour(self, year: Floats, fibre: Floats, cloud: Floats) -> Floats:
        """Wood from ring to ring, greyed by the weather in patches, streaked by its fibres."""
        early, late, grey = (
            np.array(each, np.float32) for each in (self.early, self.late, self.grey)
        )
        colour = early + (np.float32(self.rings) * year)[..., None] * (late - early)
        greyed = np.float32(self.weathered) * (
            np.float32(0.6) + np.float32(0.4) * smoothstep(-0.8, 0.8, cloud)
        )
        shaded = 1 - np.float32(0.3 * self.rings) * year
        colour += greyed[..., None] * (grey * shaded[..., None] - colour)
        colour *= (1 + np.float32(0.065) * fibre + np.float32(0.06) * cloud)[..., None]
        return np.asarray(np.maximum(colour, np.float32(0.01)), np.float32)


@dataclass(frozen=True, slots=True)
class _View:
    """Where on the boards each pixel lies, along and across them, and how large it is: units."""

    run: Floats
    side: Floats
    pixel_run: Floats
    pixel_side: Floats

    @classmethod
    def of(cls, surface: Surface, degrees: float) -> _View:
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        across, along = surface.across, surface.along
        long = surface.footprint * surface.stretch
        return cls(
            np.asarray(along * np.float32(cos) - across * np.float32(sin)),
            np.asarray(across * np.float32(cos) + along * np.float32(sin)),
            np.asarray(np.hypot(long * np.float32(cos), surface.footprint * np.float32(sin))),
            np.asarray(np.hypot(surface.footprint * np.float32(cos), long * np.float32(sin))),
        )


@dataclass(frozen=True, slots=True)
class _Boards:
    """Boards side by side, each from its own tree.

    Args:
        edges: Positions of the gaps, rising, units.
        tone: Brightness of each board about 1.
        shift: Where in the noise each board is cut.
        heart: Of each board's tree: how far the heart lies aside of the board's middle and below
            it, and how that depth changes along the board, (boards, 3).
    """

    edges: Floats
    tone: Floats
    shift: Floats
    heart: Floats

    @classmethod
    def laid(cls, rng: np.random.Generator, widths: tuple[float, float]) -> _Boards:
        across = rng.uniform(*widths, 90)
        edges = np.cumsum(across) - across.sum() / 2 + rng.uniform(0, widths[0])
        count = len(edges)
        heart = np.column_stack(
            (
                rng.normal(0, 0.10, count),
                rng.choice([-1, 1], count) * rng.uniform(0.07, 0.35, count),
                rng.normal(0, 0.03, count),
            )
        )
        return cls(
            edges.astype(np.float32),
            rng.normal(1, 0.09, count).clip(0.8, 1.2).astype(np.float32),
            rng.uniform(0, 60, count).astype(np.float32),
            heart.astype(np.float32),
        )

    @property
    def middle(self) -> Floats:
        return np.asarray(np.append((self.edges[1:] + self.edges[:-1]) / 2, self.edges[-1]))

    def board_at(self, side: Floats) -> NDArray[np.intp]:
        """Number of the board at each position."""
        steps = 8192
        grid = np.linspace(-_EXTENT, _EXTENT, steps)
        table = np.clip(np.searchsorted(self.edges, grid) - 1, 0, len(self.edges) - 2)
        cell = (side + np.float32(_EXTENT)) * np.float32((steps - 1) / (2 * _EXTENT))
        return np.asarray(table[np.clip(cell, 0, steps - 1).astype(np.intp)])

    def gaps(self, board: NDArray[np.intp], view: _View) -> Floats:
        """The dark gaps with their worn edges, 0 to 1."""
        inside = np.minimum(view.side - self.edges[board], self.edges[board + 1] - view.side)
        half = np.float32(0.0024)
        blur = view.pixel_side * np.float32(0.8) + np.float32(0.0008)
        gap = np.clip((half - inside) / blur + np.float32(0.5), 0, 1)
        gap *= np.minimum(1, 2 * half / view.pixel_side)
        worn = np.float32(0.30) * np.exp(-np.maximum(inside, 0) / np.float32(0.005))
        return np.asarray(np.maximum(gap, worn), np.float32)


def _cracks(noise: NoiseField, side: Floats, run: Floats, view: _View) -> Floats:
    """Drying cracks along the fibres, 0 to 1."""
    field = noise.fractal(side * np.float32(16), run * np.float32(0.5), 2, first=5)
    where = noise.at(side * np.float32(4), run * np.float32(0.9), 8)
    thin = np.float32(0.016) + view.pixel_side * np.float32(14)
    crack = np.clip(1 - np.abs(field) / thin, 0, 1) * (np.float32(0.016) / thin)
    return np.asarray(crack * smoothstep(0.35, 1.1, where), np.float32)


def _pores(noise: NoiseField, side: Floats, run: Floats, year: Floats, view: _View) -> Floats:
    """Short dark dashes along the fibres, most of them in spring's wood, 0 to 1."""
    dash = noise.at(side * np.float32(_PORES), run * np.float32(_PORES / 40), 2)
    seen = resolved(np.float32(0.8 * _PORES) * view.pixel_side)
    return np.asarray(smoothstep(0.4, 1.7, dash) * (1 - np.float32(0.7) * year) * seen, np.float32)


def lit_relief(relief: Floats, pixel: Floats, strength: float) -> Floats:
    """Brightness of a rough surface under a low light from the left, about 1."""
    change: Floats = np.asarray(cv2.Sobel(relief, -1, 1, 0, ksize=3, scale=1 / 8), np.float32)
    change += np.float32(0.6) * cv2.Sobel(relief, -1, 0, 1, ksize=3, scale=1 / 8)
    slope = change * (np.float32(0.0012) / pixel)
    return np.asarray(1 + np.clip(slope * np.float32(strength), -0.4, 0.45), np.float32)
