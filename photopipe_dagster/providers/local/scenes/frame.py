"""The picture's rectangle, in coordinates that do not know its size.

Lengths are *units*: one unit is the geometric mean of width and height, so that a wide and a tall
picture show about the same amount of scene. X grows to the right from the centre; Y grows downward
from the scene's horizon. No picture from 1:2 to 2:1 reaches beyond `REACH`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]
"""Linear red, green and blue."""

Floats = NDArray[np.float32]
"""An array of 32-bit floats; colours are linear light, 1.0 is a white paper in full light."""

REACH = 0.86
"""Units from the centre or the horizon within which everything visible lies."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture's size and where its horizon is.

    Args:
        width: Pixels.
        height: Pixels.
        horizon: Height of the line where the surface ends, as a fraction of the height from the
            top.
    """

    width: int
    height: int
    horizon: float

    @property
    def unit(self) -> float:
        """Pixels of one unit."""
        return math.sqrt(self.width * self.height)

    @property
    def x(self) -> Floats:
        """X of the columns' centres: (1, width) float32, units."""
        columns = np.arange(self.width, dtype=np.float32) + 0.5
        return ((columns - self.width / 2) / self.unit)[None, :].astype(np.float32)

    @property
    def y(self) -> Floats:
        """Y of the rows' centres: (height, 1) float32, units."""
        rows = np.arange(self.height, dtype=np.float32) + 0.5
        return ((rows - self.horizon * self.height) / self.unit)[:, None].astype(np.float32)

    def row(self, y: float) -> int:
        """The first row whose centre is at Y or below, within the picture."""
        row = math.ceil(y * self.unit + self.horizon * self.height - 0.5)
        return min(max(row, 0), self.height)

    def column(self, x: float) -> float:
        """The column coordinate of X: pixels, may lie outside."""
        return x * self.unit + self.width / 2

    def limited(self, unit: float) -> Frame:
        """The same picture with at most `unit` pixels to the unit: for what is blurred anyway."""
        scale = min(1.0, unit / self.unit)
        return replace(
            self,
            width=max(2, round(self.width * scale)),
            height=max(2, round(self.height * scale)),
        )
