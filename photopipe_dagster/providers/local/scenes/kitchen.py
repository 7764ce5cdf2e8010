"""Theme `kitchen`: a polished white marble counter in a bright modern kitchen."""

from __future__ import annotations

import numpy as np

from photopipe_dagster.providers.local.scenes.film import Film
from photopipe_dagster.providers.local.scenes.frame import Floats, Frame
from photopipe_dagster.providers.local.scenes.lens import add_glare, enlarge, vignette
from photopipe_dagster.providers.local.scenes.light import fresnel, pool
from photopipe_dagster.providers.local.scenes.noise import NoiseField
from photopipe_dagster.providers.local.scenes.room import kitchen_room
from photopipe_dagster.providers.local.scenes.stone import Veins
from photopipe_dagster.providers.local.scenes.surface import Surface

HORIZON = 0.58
FILM = Film(exposure=1.12, shoulder=0.55, contrast=0.16, grain=1.2)

_MARBLE = np.array([0.755, 0.75, 0.74], dtype=np.float32)
_VEIN = np.array([0.20, 0.205, 0.215], dtype=np.float32)


def light(frame: Frame, rng: np.random.Generator) -> Floats:
    """Linear light of the scene, (height, width, 3)."""
    room = enlarge(kitchen_room(frame, rng), frame)
    surface = Surface(frame, rise=0.13, blur=0.016)
    scene = surface.laid_over(room, _counter(surface, room, rng))
    np.maximum(scene, 0, out=scene)
    add_glare(scene, frame, 0.12)
    scene *= vignette(frame, 0.12)
    return scene


def _counter(surface: Surface, room: Floats, rng: np.random.Generator) -> Floats:
    """The marble in the window's light, with the room reflected in its polish."""
    daylight = np.float32(0.62) + np.float32(0.48) * pool(
        surface.frame.x, surface.y, (-0.45, 0.02), (0.85, 0.55)
    )
    colour = _marble(surface, rng) * daylight[..., None]
    mirror = fresnel(surface.cosine, 0.04) * np.float32(0.62)
    reflected = surface.reflection(room, across=0.008, down=0.022)
    colour *= 1 - mirror[..., None]
    colour += reflected * mirror[..., None]
    return surface.focused(colour)


def _marble(surface: Surface, rng: np.random.Generator) -> Floats:
    """Reflectance of white marble: faint clouds, a few bold veins and many fine ones."""
    noise = NoiseField(rng)
    turn = float(rng.uniform(-0.2, 0.2))
    across, along, pixel = surface.across, surface.along, surface.footprint
    cloud = noise.fractal(across * np.float32(1.6), along * np.float32(1.6), 4, gain=0.55)
    darkness = np.float32(0.075) * np.maximum(cloud + np.float32(0.3), 0)
    families = (
        (Veins(0.62 + turn, 0.62, 0.0060, 0.60, 0.52, 0), 0.62, 0.30),
        (Veins(0.95 + turn, 0.27, 0.0026, 0.65, 0.42, 3), 0.42, 0.16),
        (Veins(-0.45 + turn, 0.36, 0.0018, 0.7, 0.34, 6), 0.34, 0.08),
    )
    for veins, core_strength, halo_strength in families:
        core, halo = veins.drawn(noise, across, along, pixel)
        darkness += np.float32(core_strength) * core + np.float32(halo_strength) * halo
    np.clip(darkness, 0, 0.85, out=darkness)
    return np.asarray(_MARBLE + darkness[..., None] * (_VEIN - _MARBLE), dtype=np.float32)
