"""Polished stone: clouds, veins that run in one direction, and the crystals' fine grain."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from photopipe_dagster.providers.local.scenes.frame import Colour, Floats
from photopipe_dagster.providers.local.scenes.noise import NoiseField, smoothstep
from photopipe_dagster.providers.local.scenes.surface import Surface

_SUGAR = 210.0
"""Crystals to the unit, of the coarser kind."""


@dataclass(frozen=True, slots=True)
class Stone:
    """A kind of stone.

    Args:
        ground: Reflectance between the veins, linear RGB.
        cloud: That of its darker (in dark stone: lighter) clouds and streaks.
        vein: That of its veins.
        clouds: How much of the ground the clouds cover, 0 to 1.
        streaks: Strength of the feathery streaks along the veins, 0 to 1.
        veins: Strength of the wide veins, 0 to 1.
        hairs: Strength of the fine ones, 0 to 1.
        width: Half the width of the wide veins' cores, units.
        grain: Relative deviation of the crystals' brightness.
    """

    ground: Colour
    cloud: Colour
    vein: Colour
    clouds: float
    streaks: float
    veins: float
    hairs: float
    width: float
    grain: float

    def seen(self, surface: Surface, rng: np.random.Generator) -> Floats:
        """Reflectance of a slab as the camera sees it: (rows, columns, 3)."""
        noise = NoiseField(rng)
        turn = float(rng.choice([-1, 1]) * rng.uniform(0.3, 0.8))
        run, side = _flow(surface, noise, turn)
        pixel = surface.footprint
        cloud = noise.fractal(run * np.float32(0.9), side * np.float32(2.1), 4, gain=0.6, first=2)
        clouded = np.float32(self.clouds) * smoothstep(-0.6, 1.1, cloud)
        clouded += np.float32(self.streaks) * _streaks(noise, run, side, cloud, pixel)
        wide, haze = self._wide(noise, run, side, pixel)
        clouded = np.minimum(1, clouded + np.float32(0.6 * self.veins) * haze)
        drawn = np.maximum(
            np.float32(self.veins) * wide,
            np.float32(self.hairs) * self._hairs(noise, run, side, pixel),
        )
        ground, shade, vein = (
            np.array(each, np.float32) for each in (self.ground, self.cloud, self.vein)
        )
        colour = ground + clouded[..., None] * (shade - ground)
        colour += drawn[..., None] * (vein - colour)
        sugar = noise.fractal(
            surface.across * np.float32(_SUGAR),
            surface.along * np.float32(_SUGAR),
            2,
            footprint=np.float32(_SUGAR / 2) * pixel,
            gain=0.8,
            first=9,
        )
        colour *= (1 + np.float32(self.grain) * sugar)[..., None]
        return np.asarray(colour, dtype=np.float32)

    def _wide(
        self, noise: NoiseField, run: Floats, side: Floats, pixel: Floats
    ) -> tuple[Floats, Floats]:
        """The veins' cores, and the haze on one of their sides, each 0 to 1."""
        field = noise.fractal(run * np.float32(0.5), side * np.float32(1.6), 2, gain=0.3)
        where = noise.at(run * np.float32(0.8), side * np.float32(0.8), 12)
        strength = smoothstep(-0.5, 0.8, where)
        # A vein swells and thins out along its length.
        swell = noise.at(run * np.float32(2.9), side * np.float32(2.3), 14)
        half = np.float32(self.width) * (np.float32(0.3) + np.exp(np.float32(1.1) * swell))
        core, feather = _line(field, half, pixel, 4.5, 0.4)
        haze = np.exp(-np.abs(field) / np.float32(0.25)) * smoothstep(-0.06, 0.06, field) * strength
        return np.asarray((0.55 * core + 0.45 * feather) * strength), np.asarray(haze)

    def _hairs(self, noise: NoiseField, run: Floats, side: Floats, pixel: Floats) -> Floats:
        """Fine veins between the wide ones, 0 to 1."""
        field = noise.fractal(run * np.float32(1.1), side * np.float32(3.6), 2, gain=0.5, first=6)
        where = noise.at(run * np.float32(1.5), side * np.float32(1.5), 15)
        half = np.float32(0.3 * self.width) * (1 + np.abs(where))
        core, feather = _line(field, half, pixel, 9, 1.0)
        return np.asarray((0.5 * core + 0.5 * feather) * smoothstep(-0.1, 1.0, where))


def _flow(surface: Surface, noise: NoiseField, turn: float) -> tuple[Floats, Floats]:
    """Coordinates along and across the veins, bent as the rock was: units."""
    across, along = surface.across, surface.along
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    run = across * cos + along * sin
    side = along * cos - across * sin
    slow = noise.fractal(run * np.float32(0.8), side * np.float32(0.8), 2, gain=0.45, first=4)
    bent = noise.fractal(
        run * np.float32(1.1),
        side * np.float32(1.4),
        6,
        gain=0.5,
        first=8,
        footprint=np.float32(1.4) * surface.footprint,
    )
    return run + np.float32(0.2) * slow, side + np.float32(0.17) * bent


def _streaks(noise: NoiseField, run: Floats, side: Floats, cloud: Floats, pixel: Floats) -> Floats:
    """Feathers of shade along the flow, denser in the clouds: 0 to 1."""
    field = noise.fractal(
        run * np.float32(1.3),
        side * np.float32(6.5),
        4,
        gain=0.62,
        first=10,
        footprint=np.float32(6.5) * pixel,
    )
    return np.asarray(smoothstep(0.1, 1.3, field + np.float32(0.55) * cloud))


def _line(
    field: Floats, half: Floats, pixel: Floats, reach: float, least: float
) -> tuple[Floats, Floats]:
    """Where a field is zero: a line of that half width (units), and the wider shade about it.

    Args:
        reach: Width of the shade, in half widths.
        least: Change of the field for a unit below which a line is not widened any more.
    """
    distance = np.abs(field) / (_slope(field) / pixel + np.float32(least))
    # A pixel sees the line averaged over what it covers.
    seen = np.sqrt(half * half + pixel * pixel)
    core = np.exp(-((distance / seen) ** 2)) * (half / seen)
    return np.asarray(core), np.asarray(np.exp(-distance / (half * np.float32(reach))))


def _slope(field: Floats) -> Floats:
    """How much a field changes from a pixel to the next, whatever the direction."""
    right = cv2.Sobel(field, -1, 1, 0, ksize=3, scale=1 / 8)
    down = cv2.Sobel(field, -1, 0, 1, ksize=3, scale=1 / 8)
    return np.asarray(cv2.magnitude(right, down), dtype=np.float32)
