"""Theme `luxury`: polished black stone before a dark wall with gold, in the light of one spot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from photopipe_dagster.providers.local.scenes.film import Film
from photopipe_dagster.providers.local.scenes.frame import REACH, Colour, Floats, Frame
from photopipe_dagster.providers.local.scenes.lens import (
    add_glare,
    disc_blur,
    enlarge,
    soft_blur,
    vignette,
)
from photopipe_dagster.providers.local.scenes.light import fresnel, pool
from photopipe_dagster.providers.local.scenes.looks import described
from photopipe_dagster.providers.local.scenes.noise import NoiseField, smoothstep
from photopipe_dagster.providers.local.scenes.painting import Canvas, scaled
from photopipe_dagster.providers.local.scenes.stone import Stone
from photopipe_dagster.providers.local.scenes.surface import Surface

HORIZON = 0.58
FILM = Film(exposure=1.0, shoulder=0.6, contrast=0.24, grain=1.3)

_RESOLUTION = 1280
"""Pixels a unit: polished stone has no finer line than two of them."""

_WALL_RESOLUTION = 512
"""Pixels a unit for the wall, which is out of focus."""

_GOLD = np.array([0.92, 0.62, 0.25], dtype=np.float32)
"""Reflectance of gold, linear; slightly paler than pure, as brushed brass looks under a lamp."""

_SKIRTING = 0.040
"""Height of the gold line above the stone, units."""


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where the spot shines on the wall, units, and how wide, about 1."""

    x: float
    y: float
    size: float


@dataclass(frozen=True, slots=True)
class Luxury:
    """A slab of stone and what is behind it.

    Args:
        wall: `flutes`, `curtain`, `plaster`, or `lamps`: a dark room with lamps far away.
        colours: Reflectance of the wall, one of which is taken.
        widths: Range of the width of a flute or a fold, units.
        blur: Range of the disc of confusion at infinity, units.
        gold: Strength of the gold, 0 to 1.
        stone: What the slab is made of.
    """

    wall: str
    colours: tuple[Colour, ...]
    widths: tuple[float, float]
    blur: tuple[float, float]
    gold: float
    stone: Stone

    def light(self, frame: Frame, rng: np.random.Generator) -> Floats:
        """Linear light of the scene, (height, width, 3), smaller than a large frame."""
        spot = _Spot(*rng.uniform((-0.40, -0.42, 0.8), (-0.10, -0.18, 1.3)).tolist())
        blur, rise = float(rng.uniform(*self.blur)), float(rng.uniform(0.11, 0.16))
        small = frame.limited(_RESOLUTION)
        far = frame.limited(_WALL_RESOLUTION)
        wall = _WALLS[self.wall](self, far, spot, rng)
        wall = disc_blur(wall, 0.75 * blur * far.unit, rim=0.05)
        scene = enlarge(soft_blur(wall, 0.2 * blur * far.unit), small)
        surface = Surface(small, rise=rise, blur=blur)
        scene = surface.laid_over(scene, self._slab(surface, scene, spot, blur, rng))
        np.maximum(scene, 0, out=scene)
        add_glare(scene, small, 0.08)
        scene *= vignette(small, 0.30)
        return scene

    def colour(self, rng: np.random.Generator) -> Floats:
        """One of the wall's colours."""
        return np.array(self.colours[int(rng.integers(len(self.colours)))], np.float32)

    def _slab(
        self,
        surface: Surface,
        wall: Floats,
        spot: _Spot,
        blur: float,
        rng: np.random.Generator,
    ) -> Floats:
        """The stone in the spot's light, and the wall in its polish."""
        lamp = np.float32(0.14) + np.float32(1.5) * pool(
            surface.frame.x, surface.y, (spot.x, 0.15), (0.5 * spot.size, 0.30)
        )
        colour = self.stone.seen(surface, rng) * lamp[..., None]
        mirror = fresnel(surface.cosine, 0.045) * np.float32(0.9)
        # What is farther is mirrored farther out of focus.
        mirrored = surface.reflection(wall, across=0.35 * blur, down=blur)
        colour += mirrored * mirror[..., None]
        return surface.focused(colour)


def _flutes(look: Luxury, frame: Frame, spot: _Spot, rng: np.random.Generator) -> Floats:
    """Half-round flutes with gold inlays in some grooves."""
    width = float(rng.uniform(*look.widths))
    phase = float(rng.uniform(0, width))
    position = (frame.x + np.float32(phase)) / np.float32(width)
    # The normal turns from left to right across each.
    turn = (position - np.floor(position)) * np.float32(2) - np.float32(1)
    facing = np.sqrt(np.maximum(1 - turn * turn, 0))
    # The lamp is above the left: the left flank of every flute faces it.
    shade = np.maximum(np.float32(0.78) * facing - np.float32(0.55) * turn, 0)
    towards_lamp = np.maximum(facing * np.float32(0.9) - turn * np.float32(0.4), 0)
    shade += np.float32(0.35) * towards_lamp**12
    shade *= smoothstep(1.0, 0.86, np.abs(turn))
    lamp = _lamp(frame, spot)
    scene = (shade * lamp)[..., None] * look.colour(rng)
    places = np.array([-0.56, -0.30, 0.27, 0.50, 0.76]) + rng.uniform(-0.08, 0.08, 5)
    for place in places[rng.random(5) < 0.7]:
        groove = float(np.round((place + phase) / width) * width - phase)
        _inlay(scene, frame, groove, look.gold * lamp)
    _skirting(scene, frame, look.gold * lamp)
    return np.asarray(scene, np.float32)


def _curtain(look: Luxury, frame: Frame, spot: _Spot, rng: np.random.Generator) -> Floats:
    """Velvet in folds: no two alike, and brightest where they turn away, as pile is."""
    noise = NoiseField(rng)
    x, y = (np.ascontiguousarray(each) for each in np.broadcast_arrays(frame.x, frame.y))
    folds = x * np.float32(1 / rng.uniform(*look.widths))
    bent = noise.fractal(folds * np.float32(0.5), y * np.float32(0.35), 2, gain=0.5)
    phase = (folds + np.float32(0.45) * bent) * np.float32(2 * np.pi)
    depth = np.float32(0.65) + np.float32(0.35) * noise.at(folds, y * np.float32(0.25), 5)
    facing = np.maximum(np.float32(0), np.float32(0.5) - np.float32(0.5) * np.sin(phase) * depth)
    rim = np.float32(0.35) * np.maximum(np.float32(0), np.cos(phase)) ** 6
    lamp = _lamp(frame, spot)
    shade = np.asarray((np.float32(0.12) + facing**1.5 + rim) * lamp, np.float32)
    scene = shade[..., None] * look.colour(rng)
    _skirting(scene, frame, look.gold * lamp)
    return np.asarray(scene, np.float32)


def _plaster(look: Luxury, frame: Frame, spot: _Spot, rng: np.random.Generator) -> Floats:
    """A smooth wall with broad clouds, panelled with gold lines."""
    noise = NoiseField(rng)
    x, y = (np.ascontiguousarray(each) for each in np.broadcast_arrays(frame.x, frame.y))
    cloud = noise.fractal(x * np.float32(9), y * np.float32(6), 4, gain=0.75)
    lamp = _lamp(frame, spot)
    scene = ((1 + np.float32(0.07) * cloud) * lamp)[..., None] * look.colour(rng)
    left = float(rng.uniform(-0.45, -0.30))
    right = float(rng.uniform(0.30, 0.45))
    for place in (left, right):
        _inlay(scene, frame, place, look.gold * lamp)
    _skirting(scene, frame, look.gold * lamp)
    return np.asarray(scene, np.float32)


def _lamps(look: Luxury, frame: Frame, spot: _Spot, rng: np.random.Generator) -> Floats:
    """A dark room: warm lamps far away, in rows, and the sheen of shelves below them."""
    wall = look.colour(rng)
    lamp = _lamp(frame, spot)
    canvas = Canvas(frame, np.asarray(np.float32(0.45) * lamp[..., None] * wall, np.float32))
    gold = tuple(float(each) for each in look.gold * _GOLD)
    for _ in range(int(rng.integers(2, 5))):
        y = float(rng.uniform(-0.5, -0.12))
        left = float(rng.uniform(-0.8, 0.1))
        right = left + float(rng.uniform(0.3, 0.7))
        canvas.box(left, y, right, y + 0.008, scaled((gold[0], gold[1], gold[2]), 0.22))
        step = float(rng.uniform(0.09, 0.17))
        power = float(rng.uniform(0.5, 1.3))
        for x in np.arange(left, right, step):
            size = float(rng.uniform(0.006, 0.009))
            light = scaled((9.0, 5.4, 2.1), power * float(rng.uniform(0.25, 1.2)))
            aside, above = rng.uniform(-0.025, 0.025), rng.uniform(0.01, 0.03)
            canvas.oval(float(x + aside), y - float(above), size, size, light)
    canvas.light[:] *= smoothstep(0.02, -0.12, frame.y)[..., None]
    return canvas.light


_WALLS: dict[str, Callable[[Luxury, Frame, _Spot, np.random.Generator], Floats]] = {
    "flutes": _flutes,
    "curtain": _curtain,
    "plaster": _plaster,
    "lamps": _lamps,
}


def _lamp(frame: Frame, spot: _Spot) -> Floats:
    """The spot's pool on the wall, its cone from above, and a breath of light in the room."""
    x, y = frame.x, frame.y
    core = pool(x, y, (spot.x, spot.y), (0.24 * spot.size, 0.28 * spot.size))
    spill = pool(x, y, (spot.x - 0.05, spot.y - 0.05), (0.46 * spot.size, 0.46 * spot.size))
    return np.asarray(
        np.float32(2.3) * core + np.float32(1.1) * spill + np.float32(0.09), dtype=np.float32
    )


def _inlay(scene: Floats, frame: Frame, centre: float, lamp: Floats) -> None:
    """A vertical strip of brushed gold, in place: brightest on the flank towards the lamp."""
    half = 0.0045
    left = max(0, int(frame.column(centre - 2 * half)))
    right = min(frame.width, int(frame.column(centre + 2 * half)) + 2)
    if abs(centre) > REACH or left >= right:
        return
    offset = (frame.x[:, left:right] - np.float32(centre)) / np.float32(half)
    edge = max(0.2, 1 / (half * frame.unit))
    inside = smoothstep(1 + edge, 1 - edge, np.abs(offset))
    sheen = np.float32(0.14) + np.float32(0.3) * np.exp(-2 * (offset + np.float32(0.3)) ** 2)
    gold = (sheen * lamp[:, left:right])[..., None] * _GOLD
    strip = scene[:, left:right]
    strip += (gold - strip) * inside[..., None]


def _skirting(scene: Floats, frame: Frame, lamp: Floats) -> None:
    """Where the wall meets the stone: shade, and a thin gold line a little above it."""
    y = frame.y
    scene *= (1 - np.float32(0.55) * smoothstep(-0.06, 0.0, y))[..., None]
    line = smoothstep(0.0062, 0.0032, np.abs(y + np.float32(_SKIRTING)))
    gold = (np.float32(0.25) * lamp)[..., None] * _GOLD
    scene += (gold - scene) * line[..., None]


LOOKS = {
    name: Luxury(**{**entry, "stone": Stone(**entry["stone"])})
    for name, entry in described("luxury").items()
}
