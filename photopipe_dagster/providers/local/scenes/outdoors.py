"""Theme `outdoors`: a wooden table in a garden, low sun from the left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photopipe_dagster.providers.local.scenes.film import Film
from photopipe_dagster.providers.local.scenes.foliage import Foliage
from photopipe_dagster.providers.local.scenes.frame import Colour, Floats, Frame
from photopipe_dagster.providers.local.scenes.lens import add_glare, enlarge, vignette
from photopipe_dagster.providers.local.scenes.light import fresnel, pool
from photopipe_dagster.providers.local.scenes.looks import described
from photopipe_dagster.providers.local.scenes.noise import NoiseField, smoothstep
from photopipe_dagster.providers.local.scenes.surface import Surface
from photopipe_dagster.providers.local.scenes.wood import Wood, lit_relief

HORIZON = 0.57
FILM = Film(exposure=1.15, contrast=0.22, grain=1.4)


_RESOLUTION = 1664
"""Pixels a unit: as fine as a lens shows wood in a shop's picture."""


@dataclass(frozen=True, slots=True)
class Garden:
    """A table in a garden.

    Args:
        foliage: What is behind it.
        wood: What the table is made of.
        sun: Light of the sun on it, linear RGB.
        sky: Light of the sky on it.
        dappled: How much of the sun the leaves above take, 0 to 1.
    """

    foliage: Foliage
    wood: Wood
    sun: Colour
    sky: Colour
    dappled: float

    def light(self, frame: Frame, rng: np.random.Generator) -> Floats:
        """Linear light of the scene, (height, width, 3), smaller than a large frame."""
        frame = frame.limited(_RESOLUTION)
        sun = (float(rng.uniform(-0.60, -0.34)), float(rng.uniform(-0.62, -0.40)))
        blur, rise = float(rng.uniform(0.046, 0.062)), float(rng.uniform(0.12, 0.18))
        scene = enlarge(self.foliage.seen(frame, rng, sun, 0.9 * blur), frame)
        surface = Surface(frame, rise=rise, blur=blur)
        scene = surface.laid_over(scene, self._table(surface, scene, rng))
        np.maximum(scene, 0, out=scene)
        add_glare(scene, frame, 0.10)
        scene *= vignette(frame, 0.22)
        return scene

    def _table(self, surface: Surface, behind: Floats, rng: np.random.Generator) -> Floats:
        """The boards in the sun, focused."""
        colour, relief = self.wood.seen(surface, rng)
        lit = lit_relief(relief, surface.footprint, 1.3)
        sunshine = self._sunshine(surface, rng)
        sun, sky = np.array(self.sun, np.float32), np.array(self.sky, np.float32)
        colour *= (sunshine * lit)[..., None] * sun + sky
        # Dry wood still shines at a grazing angle, towards the sun most of all.
        edge = surface.frame.row(0)
        garden = behind[max(0, edge - surface.frame.height // 4) : edge].mean(axis=(0, 1))
        sheen = fresnel(surface.cosine, 0.03) * np.float32(0.5)
        towards = pool(surface.frame.x, surface.y, (-0.45, -0.05), (0.5, 0.35))
        colour += sheen[..., None] * garden
        colour += (sheen * towards * sunshine * lit)[..., None] * sun * np.float32(0.5)
        return surface.focused(colour)

    def _sunshine(self, surface: Surface, rng: np.random.Generator) -> Floats:
        """Low sun through leaves: soft patches of light, brightest at the left, 0 to 1."""
        noise = NoiseField(rng)
        leaves = noise.fractal(
            surface.across * np.float32(1.9) + surface.along * np.float32(0.5),
            surface.along * np.float32(0.9),
            3,
            gain=0.6,
        )
        taken = np.float32(self.dappled) * smoothstep(0.5, -0.6, leaves)
        near = pool(surface.frame.x, surface.y, (-0.42, 0.14), (0.9, 0.6))
        return np.asarray((1 - taken) * (np.float32(0.32) + np.float32(0.76) * near), np.float32)


LOOKS = {
    name: Garden(**{**entry, "foliage": Foliage(**entry["foliage"]), "wood": Wood(**entry["wood"])})
    for name, entry in described("outdoors").items()
}
