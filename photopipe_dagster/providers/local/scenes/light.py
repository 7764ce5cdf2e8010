"""Lamps: how much light a surface gets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photopipe_dagster.providers.local.scenes.frame import Floats

Vector = tuple[float, float, float]
"""x to the right, y up, z away from the camera; units."""


@dataclass(frozen=True, slots=True)
class Softbox:
    """A square, evenly shining lamp.

    Args:
        centre: Where it hangs.
        target: The point that it faces.
        side: Length of its edge, units.
        samples: Points along an edge that stand for its area.
    """

    centre: Vector
    target: Vector
    side: float
    samples: int = 6

    def irradiance(self, points: Floats, normals: Floats) -> Floats:
        """Light that arrives: cosine at the surface, cosine at the lamp, inverse square.

        Args:
            points: (rows, columns, 3) float32.
            normals: Unit vectors, broadcast to the points.

        Returns:
            (rows, columns) float32, in units of the lamp's radiant exitance.
        """
        axis = np.array(self.target, dtype=np.float32) - np.array(self.centre, dtype=np.float32)
        axis /= np.linalg.norm(axis)
        right = np.cross(axis, np.array([0, 1, 0], dtype=np.float32))
        right /= np.linalg.norm(right)
        up = np.cross(right, axis)
        total = np.zeros(points.shape[:2], dtype=np.float32)
        offsets = (np.arange(self.samples) + 0.5) / self.samples - 0.5
        for across in offsets * self.side:
            for along in offsets * self.side:
                lamp = np.array(self.centre) + across * right + along * up
                ray = lamp.astype(np.float32) - points
                square = (ray * ray).sum(axis=-1)
                at_surface = np.maximum((ray * normals).sum(axis=-1), 0)
                at_lamp = np.maximum(-(ray @ axis.astype(np.float32)), 0)
                total += at_surface * at_lamp / (square * square)
        return np.asarray(total * np.float32((self.side / self.samples) ** 2 / np.pi))


def fresnel(cosine: Floats, at_normal: float) -> Floats:
    """Reflectance of a polished surface: Schlick's approximation.

    Args:
        cosine: Of the angle between the view and the normal.
        at_normal: Reflectance seen straight on; 0.04 for stone and lacquer.
    """
    return np.asarray(at_normal + (1 - at_normal) * (1 - cosine) ** 5, dtype=np.float32)


def pool(x: Floats, y: Floats, centre: tuple[float, float], radii: tuple[float, float]) -> Floats:
    """The soft pool of light of a spot lamp, 1 in its centre: broadcast x and y, units."""
    distance = ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2
    return np.asarray(np.exp(-distance), dtype=np.float32)
