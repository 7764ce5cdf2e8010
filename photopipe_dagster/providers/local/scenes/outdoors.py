"""Theme `outdoors`: a weathered wooden table in a garden, low warm sun."""

from __future__ import annotations

import numpy as np

from photopipe_dagster.providers.local.scenes.film import Film
from photopipe_dagster.providers.local.scenes.foliage import garden
from photopipe_dagster.providers.local.scenes.frame import Floats, Frame
from photopipe_dagster.providers.local.scenes.lens import add_glare, enlarge, vignette
from photopipe_dagster.providers.local.scenes.light import fresnel, pool
from photopipe_dagster.providers.local.scenes.noise import NoiseField, smoothstep
from photopipe_dagster.providers.local.scenes.surface import Surface
from photopipe_dagster.providers.local.scenes.wood import Boards, lit_relief, planks

HORIZON = 0.57
FILM = Film(exposure=1.3, contrast=0.3, grain=1.5)

_SUN = np.array([1.75, 1.42, 0.95], dtype=np.float32)
_SKY = np.array([0.36, 0.40, 0.38], dtype=np.float32)


def light(frame: Frame, rng: np.random.Generator) -> Floats:
    """Linear light of the scene, (height, width, 3)."""
    sun = (float(rng.uniform(-0.46, -0.30)), float(rng.uniform(-0.56, -0.42)))
    behind = enlarge(garden(frame, rng, sun), frame)
    surface = Surface(frame, rise=0.14, blur=0.020)
    scene = surface.laid_over(behind, _table(surface, behind, rng))
    np.maximum(scene, 0, out=scene)
    add_glare(scene, frame, 0.10)
    scene *= vignette(frame, 0.25)
    return scene


def _table(surface: Surface, behind: Floats, rng: np.random.Generator) -> Floats:
    """The boards in the sun, focused."""
    noise = NoiseField(rng)
    colour, relief = planks(surface, Boards.laid(rng), noise)
    sunshine = _sunshine(surface, noise) * lit_relief(relief, surface.footprint, 1.6)
    colour *= sunshine[..., None] * _SUN + _SKY
    # Dry wood still shines at a grazing angle, with the colour of the garden behind.
    edge = surface.frame.row(0)
    garden_light = behind[max(0, edge - surface.frame.height // 4) : edge].mean(axis=(0, 1))
    sheen = fresnel(surface.cosine, 0.03) * np.float32(0.55)
    colour += sheen[..., None] * garden_light
    return surface.focused(colour)


def _sunshine(surface: Surface, noise: NoiseField) -> Floats:
    """Low sun through leaves: soft patches of light, brightest at the left, 0 to 1."""
    leaves = noise.fractal(
        surface.across * np.float32(1.7) + surface.along * np.float32(0.35),
        surface.along * np.float32(0.55),
        2,
        first=14,
    )
    dappled = np.float32(0.42) + np.float32(0.58) * smoothstep(-0.75, 0.55, leaves)
    near = pool(surface.frame.x, surface.y, (-0.22, 0.10), (0.75, 0.5))
    return np.asarray(dappled * (np.float32(0.35) + np.float32(0.75) * near), dtype=np.float32)


class Garden:
    """A table in a garden."""

    def light(self, frame: Frame, rng: np.random.Generator) -> Floats:
        """Linear light of the scene, (height, width, 3)."""
        return light(frame, rng)


LOOKS = {"garden": Garden()}
