"""Theme `kitchen`: a polished marble counter in a kitchen far out of focus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photopipe_dagster.providers.local.scenes.film import Film
from photopipe_dagster.providers.local.scenes.frame import Floats, Frame
from photopipe_dagster.providers.local.scenes.lens import add_glare, enlarge, vignette
from photopipe_dagster.providers.local.scenes.light import fresnel, pool
from photopipe_dagster.providers.local.scenes.looks import described
from photopipe_dagster.providers.local.scenes.room import Room
from photopipe_dagster.providers.local.scenes.stone import Stone
from photopipe_dagster.providers.local.scenes.surface import Surface

HORIZON = 0.58
FILM = Film(exposure=1.12, shoulder=0.55, contrast=0.14, grain=1.2)

_RESOLUTION = 1280
"""Pixels a unit: polished stone has no finer line than two of them, and the room none at all."""


@dataclass(frozen=True, slots=True)
class Kitchen:
    """A kitchen.

    Args:
        room: What is behind the counter.
        stone: What the counter is made of.
    """

    room: Room
    stone: Stone

    def light(self, frame: Frame, rng: np.random.Generator) -> Floats:
        """Linear light of the scene, (height, width, 3), smaller than a large frame."""
        blur, rise = float(rng.uniform(0.042, 0.056)), float(rng.uniform(0.12, 0.17))
        small = frame.limited(_RESOLUTION)
        # The room is not infinitely far.
        scene = enlarge(self.room.seen(frame, rng, 0.85 * blur), small)
        surface = Surface(small, rise=rise, blur=blur)
        scene = surface.laid_over(scene, self._counter(surface, scene, rng))
        np.maximum(scene, 0, out=scene)
        add_glare(scene, small, 0.12)
        scene *= vignette(small, 0.12)
        return scene

    def _counter(self, surface: Surface, room: Floats, rng: np.random.Generator) -> Floats:
        """The marble in the window's light, with the room reflected in its polish."""
        daylight = np.float32(0.62) + np.float32(0.50) * pool(
            surface.frame.x, surface.y, (-0.5, 0.06), (0.95, 0.6)
        )
        colour = self.stone.seen(surface, rng) * daylight[..., None]
        mirror = fresnel(surface.cosine, 0.04) * np.float32(0.62)
        reflected = surface.reflection(room, across=0.012, down=0.03)
        colour *= 1 - mirror[..., None]
        colour += reflected * mirror[..., None]
        return surface.focused(colour)


LOOKS = {
    name: Kitchen(Room(**entry["room"]), Stone(**entry["stone"]))
    for name, entry in described("kitchen").items()
}
