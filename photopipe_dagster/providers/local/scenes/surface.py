"""A horizontal surface in perspective: the table that a product stands on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from photopipe_dagster.providers.local.scenes.frame import Floats, Frame
from photopipe_dagster.providers.local.scenes.lens import enlarge, row_blur
from photopipe_dagster.providers.local.scenes.noise import smoothstep

_STANDING = 0.26
"""Y, units below the horizon, where products usually stand: in focus, true to scale."""

_SHARP = 0.007
"""Radius of a blur that a shop's picture allows its product's ground, units."""

_NEARER = 0.4
"""How fast it blurs towards the camera, for how it does away from it: focus is put to the rear."""

_FOCAL_LENGTH = 1.7
"""Units; a moderate telephoto lens, as product photographers use."""


@dataclass(frozen=True)
class Surface:
    """The rows of a frame that show the table, and where on the table each pixel lies.

    A camera without tilt (verticals stay vertical) looks over the table; the vanishing line of
    the plane is `rise` units above the table's far edge.

    Args:
        frame: The picture.
        rise: Height of the vanishing line above the far edge, units. The more, the steeper the
            camera looks down.
        blur: Radius of the disc of confusion at infinity, units.
    """

    frame: Frame
    rise: float = 0.13
    blur: float = 0.02

    @cached_property
    def first_row(self) -> int:
        """First row that may show the table: its edge is blurred and reaches upward."""
        return self.frame.row(-self.edge_blur)

    @property
    def edge_blur(self) -> float:
        """Radius of the blur of the far edge, units."""
        return float(self.blur * (1 - 1 / self._far))

    @property
    def _far(self) -> float:
        return (_STANDING + self.rise) / self.rise

    @cached_property
    def y(self) -> Floats:
        """Y of the surface's rows, not above the edge: (rows, 1)."""
        return np.maximum(self.frame.y[self.first_row :], 0)

    @cached_property
    def distance(self) -> Floats:
        """Distance from the camera, 1 where products stand: (rows, 1)."""
        return np.asarray((_STANDING + self.rise) / (self.y + self.rise), dtype=np.float32)

    @cached_property
    def across(self) -> Floats:
        """Position on the table to the right, units at the product's place: (rows, columns)."""
        return np.asarray(self.frame.x * self.distance, dtype=np.float32)

    @cached_property
    def along(self) -> Floats:
        """Position on the table away from the camera, in the same units: (rows, columns)."""
        depth = np.float32(_FOCAL_LENGTH) * self.distance
        return np.ascontiguousarray(np.broadcast_to(depth, self.across.shape))

    @cached_property
    def footprint(self) -> Floats:
        """Width of a pixel on the table: (rows, 1). Along the view it covers `stretch` times."""
        return np.asarray(self.distance / np.float32(self.frame.unit))

    @cached_property
    def stretch(self) -> Floats:
        """How many times longer than wide a pixel's image on the table is: (rows, 1)."""
        slope = (_STANDING + self.rise) / _FOCAL_LENGTH
        return np.asarray(self.distance / np.float32(slope))

    @cached_property
    def cosine(self) -> Floats:
        """Cosine of the angle between the view and the surface's normal: (rows, 1)."""
        slope = (self.y + self.rise) / np.float32(_FOCAL_LENGTH)
        return np.asarray(slope / np.sqrt(1 + slope * slope), dtype=np.float32)

    def reflection(self, background: Floats, across: float, down: float) -> Floats:
        """What the polish reflects: the background upside down, smeared by its fine roughness.

        Args:
            background: (height, width, 3) of the whole frame; below the horizon it is not read.
            across: Standard deviation of the smear, units.
            down: The same along the columns, where a grazing view stretches it.

        Returns:
            (rows, columns, 3) of the surface's rows.
        """
        small = self.frame.limited(2.5 / across)
        size = (small.width, small.height)
        shrunk = cv2.resize(background, size, interpolation=cv2.INTER_AREA)
        edge = small.row(0)
        rows = np.arange(small.height)
        mirror = np.where(rows < edge, edge - 1, np.clip(2 * edge - 1 - rows, 0, edge - 1))
        smeared = cv2.GaussianBlur(
            shrunk[mirror], (0, 0), sigmaX=across * small.unit, sigmaY=down * small.unit
        )
        return enlarge(np.asarray(smeared, dtype=np.float32), self.frame)[self.first_row :]

    def focused(self, image: Floats) -> Floats:
        """The surface's rows as the lens shows them, sharp only near the product's place."""
        confusion = (1 - 1 / self.distance[:, 0]) * np.float32(self.blur)
        confusion = np.where(confusion < 0, -np.float32(_NEARER) * confusion, confusion)
        radius = np.maximum(confusion - np.float32(_SHARP), 0) * np.float32(self.frame.unit)
        return row_blur(image, radius.astype(np.float32))

    def laid_over(self, background: Floats, image: Floats) -> Floats:
        """Put the surface's rows over the background, in place, with its edge out of focus."""
        reach = max(self.edge_blur, 0.6 / self.frame.unit)
        opacity = smoothstep(-reach, reach, self.frame.y[self.first_row :])[..., None]
        below = background[self.first_row :]
        below += (image - below) * opacity
        return background
