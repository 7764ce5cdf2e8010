"""A paper sweep: floor and wall in one seamless sheet, lit by a softbox from the upper left.

Each row of the picture sees one line of the sheet: floor, bend or wall. The irradiance is
computed on a coarse grid, as nothing in it is sharp.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photopipe_dagster.providers.local.scenes.frame import Floats, Frame
from photopipe_dagster.providers.local.scenes.lens import enlarge, soft_blur
from photopipe_dagster.providers.local.scenes.light import Softbox
from photopipe_dagster.providers.local.scenes.noise import NoiseField

_FOCAL_LENGTH = 1.7
_CAMERA_HEIGHT = 0.5
_COARSE = 96


@dataclass(frozen=True, slots=True)
class Sweep:
    """The sheet and its light.

    Args:
        albedo: Reflectance of the paper, linear RGB.
        wall: Distance of the wall from the camera, units (products stand at 1.7).
        bend: Radius of the bend between floor and wall, units.
        key: The softbox.
        fill: Light from everywhere, relative to the softbox's at the product's place.
        fibre: Relief of the paper: relative deviation of its brightness.
    """

    albedo: tuple[float, float, float]
    wall: float
    bend: float
    key: Softbox
    fill: float
    fibre: float

    def light(self, frame: Frame, rng: np.random.Generator) -> Floats:
        """Linear light of the whole frame, (height, width, 3); about 1 at the product's place."""
        coarse = frame.limited(_COARSE)
        points, normals = self._seen(coarse)
        key = self.key.irradiance(points, normals)
        at_product = np.array([[[0, 0, _FOCAL_LENGTH]]], dtype=np.float32)
        upward = np.array([[[0, 1, 0]]], dtype=np.float32)
        key /= self.key.irradiance(at_product, upward)[0, 0]
        # The room is brighter above than below the sheet's own horizon.
        sky = (np.float32(1.0) + normals[..., 1]) / 2
        bounce = np.float32(0.35) * soft_blur(key, 0.24 * coarse.unit)
        smooth = key + np.float32(self.fill) * (np.float32(0.7) + np.float32(0.3) * sky) + bounce
        # Grid lines of light and of the bend must not show.
        smooth = soft_blur(np.asarray(smooth, dtype=np.float32), 0.15 * coarse.unit)
        smooth /= np.float32(1.35 + self.fill)
        shade = enlarge(smooth, frame)
        shade *= self._paper(frame, rng)
        return np.asarray(shade[..., None] * np.array(self.albedo, dtype=np.float32))

    def _seen(self, frame: Frame) -> tuple[Floats, Floats]:
        """The points of the sheet that the pixels see, and its normals there."""
        # The vanishing line of the floor is where the camera's height is on the wall.
        rise = _CAMERA_HEIGHT * _FOCAL_LENGTH / self.wall
        slope = (frame.y[:, 0] + rise) / _FOCAL_LENGTH
        depth, height, angle = self._profile(slope)
        shape = (frame.height, frame.width)
        points = np.empty((*shape, 3), dtype=np.float32)
        points[..., 0] = frame.x * depth[:, None] / _FOCAL_LENGTH
        points[..., 1] = height[:, None]
        points[..., 2] = depth[:, None]
        normals = np.zeros((*shape, 3), dtype=np.float32)
        normals[..., 1] = np.cos(angle)[:, None]
        normals[..., 2] = -np.sin(angle)[:, None]
        return points, normals

    def _profile(self, slope: Floats) -> tuple[Floats, Floats, Floats]:
        """Where rays that fall by `slope` per unit of depth meet the sheet.

        Returns:
            Depth, height, and the sheet's inclination there: 0 on the floor, π/2 on the wall.
        """
        start = self.wall - self.bend
        # The ray meets the bend where (depth - start)² + (height - bend)² = bend².
        drop = _CAMERA_HEIGHT - self.bend
        a = 1 + slope * slope
        b = -(start + slope * drop)
        c = start * start + drop * drop - self.bend * self.bend
        root = np.sqrt(np.maximum(b * b - a * c, 0))
        on_bend = (-b + root) / a
        on_floor = _CAMERA_HEIGHT / np.maximum(slope, 1e-6)
        depth = np.where(on_floor < start, on_floor, on_bend)
        above = _CAMERA_HEIGHT - slope * self.wall > self.bend
        depth = np.where(above, self.wall, depth)
        height = np.maximum(_CAMERA_HEIGHT - slope * depth, 0)
        angle = np.arcsin(np.clip((depth - start) / self.bend, 0, 1))
        return depth, height, np.asarray(np.where(above, np.pi / 2, angle), dtype=np.float32)

    def _paper(self, frame: Frame, rng: np.random.Generator) -> Floats:
        """The paper's fibres and faint unevenness: (height, width) about 1."""
        noise = NoiseField(rng)
        x, y = np.broadcast_arrays(frame.x, frame.y)
        pixel = 1 / frame.unit
        cloud = noise.fractal(x * np.float32(3), y * np.float32(3), 3, gain=0.6)
        fibre = noise.fractal(
            x * np.float32(90), y * np.float32(140), 2, footprint=140 * pixel, gain=0.7, first=6
        )
        return np.asarray(1 + np.float32(self.fibre) * (cloud + fibre), dtype=np.float32)
