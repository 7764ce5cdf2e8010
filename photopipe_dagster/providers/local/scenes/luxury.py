"""Theme `luxury`: polished black stone with gold veins before a dark fluted wall."""

from __future__ import annotations

import numpy as np

from photopipe_dagster.providers.local.scenes.film import Film
from photopipe_dagster.providers.local.scenes.frame import REACH, Floats, Frame
from photopipe_dagster.providers.local.scenes.lens import add_glare, soft_blur, vignette
from photopipe_dagster.providers.local.scenes.light import fresnel, pool
from photopipe_dagster.providers.local.scenes.noise import NoiseField, smoothstep
from photopipe_dagster.providers.local.scenes.surface import Surface
from photopipe_dagster.providers.local.scenes.veins import Veins

HORIZON = 0.58
FILM = Film(exposure=1.0, shoulder=0.6, contrast=0.28, grain=1.4)

_WALL = np.array([0.052, 0.043, 0.037], dtype=np.float32)
_STONE = np.array([0.0065, 0.0065, 0.0075], dtype=np.float32)
_GOLD = np.array([0.92, 0.62, 0.25], dtype=np.float32)
"""Reflectance of gold, linear; slightly paler than pure, as brushed brass looks under a lamp."""

_FLUTE = 0.052
"""Width of a flute of the wall's panels, units."""


def light(frame: Frame, rng: np.random.Generator) -> Floats:
    """Linear light of the scene, (height, width, 3)."""
    spot = (float(rng.uniform(-0.16, -0.06)), float(rng.uniform(-0.30, -0.24)))
    wall = soft_blur(_wall(frame, spot, rng), 0.006 * frame.unit)
    surface = Surface(frame, rise=0.12, blur=0.010)
    scene = surface.laid_over(wall, _slab(surface, wall, spot, rng))
    np.maximum(scene, 0, out=scene)
    add_glare(scene, frame, 0.10)
    scene *= vignette(frame, 0.35)
    return scene


def _wall(frame: Frame, spot: tuple[float, float], rng: np.random.Generator) -> Floats:
    """Fluted panels with gold inlays in the pool of one lamp: (height, width, 3)."""
    phase = float(rng.uniform(0, _FLUTE))
    inlays = _inlay_positions(phase, rng)
    position = (frame.x + np.float32(phase)) / np.float32(_FLUTE)
    # Half-round flutes: the normal turns from left to right across each.
    turn = (position - np.floor(position)) * np.float32(2) - np.float32(1)
    facing = np.sqrt(np.maximum(1 - turn * turn, 0))
    # The lamp is above the left: the left flank of every flute faces it.
    shade = np.maximum(np.float32(0.78) * facing - np.float32(0.55) * turn, 0)
    towards_lamp = np.maximum(facing * np.float32(0.9) - turn * np.float32(0.4), 0)
    shade += np.float32(0.35) * towards_lamp**12
    shade *= smoothstep(1.0, 0.86, np.abs(turn))
    lamp = _lamp(frame, spot)
    scene = (shade * lamp)[..., None] * _WALL
    for centre, width in inlays:
        _add_inlay(scene, frame, centre, width, lamp, rng)
    _add_skirting(scene, frame, lamp)
    return np.asarray(scene, dtype=np.float32)


def _lamp(frame: Frame, spot: tuple[float, float]) -> Floats:
    """The spot's pool on the wall, its cone from above, and a breath of light in the room."""
    x, y = frame.x, frame.y
    core = pool(x, y, spot, (0.20, 0.25))
    spill = pool(x, y, (spot[0] - 0.05, spot[1] - 0.05), (0.42, 0.42))
    return np.asarray(
        np.float32(3.0) * core + np.float32(0.95) * spill + np.float32(0.07), dtype=np.float32
    )


def _inlay_positions(phase: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Centres and widths of the gold strips: in grooves between flutes, off the middle."""
    grooves = np.array([-0.56, -0.30, 0.27, 0.50, 0.76]) + rng.uniform(-0.03, 0.03, 5)
    snapped = np.round((grooves + phase) / _FLUTE) * _FLUTE - phase
    return [(float(x), 0.0075) for x in snapped if abs(x) < REACH]


def _add_inlay(
    scene: Floats,
    frame: Frame,
    centre: float,
    width: float,
    lamp: Floats,
    rng: np.random.Generator,
) -> None:
    """A vertical strip of brushed gold, in place."""
    left = max(0, int(frame.column(centre - width)))
    right = min(frame.width, int(frame.column(centre + width)) + 2)
    if left >= right:
        return
    offset = (frame.x[:, left:right] - np.float32(centre)) / np.float32(width / 2)
    edge = max(0.15, 2 / (width * frame.unit))
    inside = smoothstep(1.0 + edge, 1.0 - edge, np.abs(offset))
    # A brushed strip glows over a wide angle, most on the flank that is turned to the lamp.
    sheen = np.float32(0.10) + np.float32(0.26) * np.exp(-((offset + np.float32(0.3)) ** 2) * 2)
    brushed = (
        1
        + np.float32(0.12)
        * np.interp(
            frame.y[:, 0], np.linspace(-REACH, REACH, 600), rng.standard_normal(600)
        ).astype(np.float32)[:, None]
    )
    gold = (sheen * brushed * lamp[:, left:right])[..., None] * _GOLD
    strip = scene[:, left:right]
    strip += (gold - strip) * inside[..., None]


def _add_skirting(scene: Floats, frame: Frame, lamp: Floats) -> None:
    """Where the wall meets the stone: shade, and a thin gold line a little above it."""
    y = frame.y
    scene *= (1 - np.float32(0.55) * smoothstep(-0.06, 0.0, y))[..., None]
    line = smoothstep(0.0042, 0.0022, np.abs(y + np.float32(0.040)))
    gold = (np.float32(0.17) * lamp)[..., None] * _GOLD
    scene += (gold - scene) * line[..., None]


def _slab(
    surface: Surface, wall: Floats, spot: tuple[float, float], rng: np.random.Generator
) -> Floats:
    """The black stone: gold veins in the spot's light, and the wall in its polish."""
    noise = NoiseField(rng)
    lamp = np.float32(0.10) + np.float32(1.5) * pool(
        surface.frame.x, surface.y, (spot[0] * 0.6, 0.16), (0.40, 0.26)
    )
    colour = _stone(surface, noise, rng) * lamp[..., None]
    mirror = fresnel(surface.cosine, 0.045) * np.float32(0.9)
    reflected = surface.reflection(wall, across=0.003, down=0.011)
    colour += reflected * mirror[..., None]
    return surface.focused(colour)


def _stone(surface: Surface, noise: NoiseField, rng: np.random.Generator) -> Floats:
    """Reflectance: nearly black, faint clouds, fine gold and pale veins."""
    turn = float(rng.uniform(-0.25, 0.25))
    across, along, pixel = surface.across, surface.along, surface.footprint
    cloud = noise.fractal(across * np.float32(2.4), along * np.float32(2.4), 5, gain=0.6)
    colour = _STONE * (1 + np.float32(0.45) * np.maximum(cloud, 0))[..., None]
    families = (
        (Veins(0.75 + turn, 0.75, 0.0036, 0.5, 0.44, 0), 0.40, 0.012),
        (Veins(-0.35 + turn, 0.55, 0.0017, 0.55, 0.32, 4), 0.22, 0.005),
    )
    for veins, core_strength, halo_strength in families:
        core, halo = veins.drawn(noise, across, along, pixel)
        gold = np.float32(core_strength) * core + np.float32(halo_strength) * halo
        colour += gold[..., None] * _GOLD
    return np.asarray(colour, dtype=np.float32)


class Gold:
    """A fluted wall with gold inlays."""

    def light(self, frame: Frame, rng: np.random.Generator) -> Floats:
        """Linear light of the scene, (height, width, 3)."""
        return light(frame, rng)


LOOKS = {"fluted": Gold()}
