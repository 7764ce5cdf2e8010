"""Themes `default` and `minimal`: a photographer's studio, a sweep of paper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photopipe_dagster.providers.local.scenes.film import Film
from photopipe_dagster.providers.local.scenes.frame import Colour, Floats, Frame
from photopipe_dagster.providers.local.scenes.lens import vignette
from photopipe_dagster.providers.local.scenes.light import Softbox, Vector, pool
from photopipe_dagster.providers.local.scenes.looks import described
from photopipe_dagster.providers.local.scenes.sweep import Sweep

HORIZON = 0.56
GREY_FILM = Film(exposure=1.0, grain=1.5)
PALE_FILM = Film(exposure=1.08, contrast=0.12, grain=0.9)

_Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Studio:
    """A sweep of paper and its lamps; of each range, a picture has one value.

    Args:
        albedo: Reflectance of the paper.
        warmth: By how much more red and less blue it may be.
        exposure: Range of the factor on the light.
        lamp: The two corners of the room in which the softbox hangs, see `light`.
        side: Range of the softbox's edge, units.
        wall: Range of the wall's distance, units.
        bend: Range of the bend's radius, units.
        fill: Range of the light from everywhere, relative to the softbox's.
        glow: Range of the light of a second lamp on the wall.
        fibre: Relief of the paper.
        vignette: Light lost in the corners.
    """

    albedo: Colour
    warmth: float
    exposure: _Range
    lamp: tuple[Vector, Vector]
    side: _Range
    wall: _Range
    bend: _Range
    fill: _Range
    glow: _Range
    fibre: float
    vignette: float

    def light(self, frame: Frame, rng: np.random.Generator) -> Floats:
        """Linear light of the scene, (height, width, 3)."""
        exposure, side, wall, bend, fill, glow = (
            float(rng.uniform(*each))
            for each in (self.exposure, self.side, self.wall, self.bend, self.fill, self.glow)
        )
        left, up, forward = (float(each) for each in rng.uniform(*self.lamp))
        warm = float(rng.uniform(0, self.warmth))
        red, green, blue = self.albedo
        sweep = Sweep(
            albedo=(exposure * (red + warm), exposure * green, exposure * (blue - warm)),
            wall=wall,
            bend=bend,
            key=Softbox(centre=(left, up, forward), target=(0.2, 0.2, 2.5), side=side),
            fill=fill,
            fibre=self.fibre,
        )
        lit = sweep.light(frame, rng)
        place = float(rng.uniform(-0.25, 0.0)), float(rng.uniform(-0.36, -0.16))
        spot = pool(frame.x, frame.y, place, (0.5, 0.42))
        # The glow keeps the paper's exposure: what it adds about the product, the rest loses.
        lit *= (1 + np.float32(glow) * (spot - np.float32(0.45)))[..., None]
        lit *= vignette(frame, self.vignette)
        return lit


GREY = {name: Studio(**entry) for name, entry in described("default").items()}
PALE = {name: Studio(**entry) for name, entry in described("minimal").items()}
