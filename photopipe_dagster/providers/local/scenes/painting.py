"""Plain shapes in linear light: what is painted is thrown far out of focus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np

from photopipe_dagster.providers.local.scenes.frame import Colour, Floats, Frame


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture that is painted on in units.

    Args:
        frame: Its size, and where its units begin.
        light: (rows, columns, 3) float32.
    """

    frame: Frame
    light: Floats

    @classmethod
    def filled(cls, frame: Frame, colour: Colour) -> Self:
        """One colour all over."""
        light = np.empty((frame.height, frame.width, 3), dtype=np.float32)
        light[:] = colour
        return cls(frame, light)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """Fill a rectangle; its edges lie between pixels, so that none is off by half a one."""
        left, right = self.frame.column(x0), self.frame.column(x1)
        top, bottom = self._row(y0), self._row(y1)
        columns = _covered(left, right, self.frame.width)
        rows = _covered(top, bottom, self.frame.height)
        inside = np.flatnonzero(rows), np.flatnonzero(columns)
        if not inside[0].size or not inside[1].size:
            return
        area = slice(inside[0][0], inside[0][-1] + 1), slice(inside[1][0], inside[1][-1] + 1)
        share = (rows[area[0], None] * columns[None, area[1]])[..., None]
        self.light[area] += (np.array(colour, np.float32) - self.light[area]) * share

    def oval(
        self, x: float, y: float, across: float, down: float, colour: Colour, turn: float = 0.0
    ) -> None:
        """Fill an ellipse of the given half axes, turned by degrees."""
        centre = (round(self.frame.column(x) * 16), round(self._row(y) * 16))
        axes = (round(across * self.frame.unit * 16), round(down * self.frame.unit * 16))
        cv2.ellipse(self.light, centre, axes, turn, 0, 360, colour, -1, shift=4)

    def vessel(self, x: float, base: float, width: float, height: float, colour: Colour) -> None:
        """A round jar or pot: lit from the left, darker to the right."""
        half = width / 2
        for part in np.linspace(-1, 1, 9)[:-1]:
            shade = float(1.15 - 0.5 * (part + 0.3) ** 2 - 0.2 * (part > 0.4))
            self.box(
                x + half * part,
                base - height,
                x + half * (part + 0.25),
                base,
                scaled(colour, shade),
            )
        self.oval(x, base - height, half, half * 0.22, scaled(colour, 0.75))

    def leaves(
        self, x: float, y: float, size: tuple[float, float], count: int, rng: np.random.Generator
    ) -> None:
        """A bush of leaves about a point, as wide and high as given (standard deviations)."""
        for _ in range(count):
            dx, dy = rng.normal(0, size[0]), rng.normal(0, size[1])
            tone = float(rng.uniform(0.4, 1.6) * (1.15 - 0.6 * dx / max(size[0], 1e-3) / 3))
            green = (0.070 * tone, 0.125 * tone, 0.050 * tone)
            long = 0.5 * float(size[0] + size[1]) * float(rng.uniform(0.3, 0.55))
            self.oval(x + dx, y + dy, long, 0.5 * long, green, float(rng.uniform(0, 180)))

    def _row(self, y: float) -> float:
        return y * self.frame.unit + self.frame.horizon * self.frame.height


def scaled(colour: Colour, factor: float) -> Colour:
    """The colour in other light."""
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def varied(colour: Colour, rng: np.random.Generator, by: float = 0.1) -> Colour:
    """The colour, a little lighter or darker."""
    return scaled(colour, float(rng.uniform(1 - by, 1 + by)))


def _covered(low: float, high: float, length: int) -> Floats:
    """How much of each pixel lies between two coordinates, 0 to 1."""
    pixels = np.arange(length, dtype=np.float32)
    covered = np.minimum(pixels + 1, high) - np.maximum(pixels, low)
    return np.asarray(np.clip(covered, 0, 1), np.float32)
