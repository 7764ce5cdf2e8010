"""A sunny garden far out of focus: leaves dissolved into discs of light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from photopipe_dagster.providers.local.scenes.frame import REACH, Floats, Frame
from photopipe_dagster.providers.local.scenes.lens import disc_blur
from photopipe_dagster.providers.local.scenes.light import pool
from photopipe_dagster.providers.local.scenes.noise import NoiseField, smoothstep

_RESOLUTION = 400
"""Pixels a unit; everything is blurred wider than that."""

_SHADE = np.array([0.010, 0.022, 0.008], dtype=np.float32)
_LEAF = np.array([0.060, 0.125, 0.022], dtype=np.float32)
_SUNLIT = np.array([0.36, 0.42, 0.060], dtype=np.float32)
_GLOW = np.array([1.95, 1.75, 0.70], dtype=np.float32)
_SPARKS = np.array([[1.0, 0.86, 0.46], [0.95, 0.95, 0.55], [0.72, 0.9, 0.38]], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class _Layer:
    """Leaves at one distance: how many, how large (units), how blurred (units), how sunny."""

    leaves: int
    size: float
    blur: float
    sun: float
    cover: float


_LAYERS = (
    _Layer(leaves=2600, size=0.030, blur=0.030, sun=0.85, cover=0.9),
    _Layer(leaves=700, size=0.055, blur=0.042, sun=0.45, cover=0.55),
)


def garden(frame: Frame, rng: np.random.Generator, sun: tuple[float, float]) -> Floats:
    """Linear light of the garden: (rows, columns, 3), small; the frame is `garden_frame`'s.

    Args:
        frame: The picture's frame.
        rng: Draws the plants.
        sun: Where the sun shines through, units.
    """
    small = frame.limited(_RESOLUTION)
    noise = NoiseField(rng)
    light = _far_field(small, noise, sun)
    for index, layer in enumerate(_LAYERS):
        light = _with_leaves(light, small, layer, noise, index, rng, sun)
    _add_sparks(light, small, rng, sun)
    return light


def _far_field(frame: Frame, noise: NoiseField, sun: tuple[float, float]) -> Floats:
    """Lawn and hedges farthest away: soft masses of green, and the sun's glow."""
    x, y = np.broadcast_arrays(frame.x, frame.y)
    masses = noise.fractal(x * np.float32(2.6), y * np.float32(3.4), 3, gain=0.55)
    brightness = smoothstep(-0.9, 1.1, masses)[..., None]
    light = _SHADE + brightness * (_LEAF * np.float32(1.5) - _SHADE)
    lawn = smoothstep(0.14, 0.02, np.abs(y + np.float32(0.05)))[..., None]
    light += lawn * (_SUNLIT * np.float32(0.55) - light) * np.float32(0.75)
    light += pool(x, y, sun, (0.42, 0.36))[..., None] * _GLOW * np.float32(0.55)
    return np.asarray(light, dtype=np.float32)


def _with_leaves(
    light: Floats,
    frame: Frame,
    layer: _Layer,
    noise: NoiseField,
    index: int,
    rng: np.random.Generator,
    sun: tuple[float, float],
) -> Floats:
    """Paint one layer of leaves and throw it out of focus."""
    place = rng.uniform((-REACH, -REACH), (REACH, 0.12), (layer.leaves, 2)).astype(np.float32)
    turn = rng.uniform(0, 180, layer.leaves)
    length = layer.size * rng.uniform(0.6, 1.5, layer.leaves)
    luck = rng.random(layer.leaves).astype(np.float32)
    clump = noise.at(place[:, :1] * np.float32(4), place[:, 1:] * np.float32(4), 5 + index)[:, 0]
    colours = _leaf_colours(place, luck, clump, layer.sun, sun)
    painted = np.zeros((*light.shape[:2], 4), dtype=np.float32)
    # Plants leave the view open in clumps, not leaf by leaf.
    for i in np.flatnonzero(clump + np.float32(0.8) * luck > np.float32(1 - 1.4 * layer.cover)):
        centre = _fixed(frame.column(float(place[i, 0])), _row(frame, float(place[i, 1])))
        axes = _fixed(length[i] * frame.unit, length[i] * frame.unit * 0.42)
        colour = (*(float(channel) for channel in colours[i]), 1.0)
        cv2.ellipse(painted, centre, axes, float(turn[i]), 0, 360, colour, -1, shift=4)
    painted = disc_blur(painted, layer.blur * frame.unit, rim=0.1)
    return np.asarray(light * (1 - painted[..., 3:]) + painted[..., :3], dtype=np.float32)


def _leaf_colours(
    place: Floats, luck: Floats, clump: Floats, sunny: float, sun: tuple[float, float]
) -> Floats:
    """Shade, green, or lit through by the sun; brighter near to it."""
    near = pool(place[:, 0], place[:, 1], sun, (0.55, 0.5))
    lit = np.float32(sunny) * smoothstep(
        0.72, 1.3, luck + np.float32(0.3) * clump + np.float32(0.4) * near
    )
    green = smoothstep(-0.8, 1.0, clump + luck - np.float32(0.5))[:, None]
    colour = _SHADE + green * (_LEAF - _SHADE)
    colour += lit[:, None] * (_SUNLIT * (1 + near[:, None] * np.float32(1.5)) - colour)
    return np.asarray(colour, dtype=np.float32)


def _add_sparks(
    light: Floats, frame: Frame, rng: np.random.Generator, sun: tuple[float, float]
) -> None:
    """Glints of sun on leaves and gaps to the sky: each the picture of the lens's aperture."""
    count = 420
    place = rng.uniform((-REACH, -REACH), (REACH, -0.03), (count, 2))
    # Glints come in groups: half of them gather about a few twigs.
    twigs = rng.uniform((-0.7, -0.75), (0.7, -0.08), (12, 2))
    gathered = twigs[rng.integers(0, len(twigs), count)] + rng.normal(0, 0.085, (count, 2))
    place = np.where(rng.random((count, 1)) < 0.6, gathered, place)
    radius = rng.choice([0.014, 0.020, 0.027, 0.036], count, p=[0.3, 0.35, 0.25, 0.1])
    power = rng.lognormal(-3.1, 0.85, count)
    hue = _SPARKS[rng.integers(0, len(_SPARKS), count)]
    near = pool(place[:, 0].astype(np.float32), place[:, 1].astype(np.float32), sun, (0.6, 0.5))
    for i in range(count):
        x, y = float(place[i, 0]), float(place[i, 1])
        if y > -0.02:
            continue
        disc = _aperture(frame, x, y, float(radius[i]) * frame.unit)
        strength = np.float32(power[i] * (0.5 + 2.2 * near[i]))
        _add_patch(light, disc[..., None] * hue[i] * strength, frame.column(x), _row(frame, y))


def _aperture(frame: Frame, x: float, y: float, radius: float) -> Floats:
    """An unfocused point: a disc with a bright rim, cut by the barrel towards the corners."""
    reach = int(np.ceil(radius)) + 2
    axis = np.arange(-reach, reach + 1, dtype=np.float32)
    across, down = axis[None, :], axis[:, None]
    distance: Floats = np.hypot(across, down)
    disc = np.clip((radius - distance) / 1.2 + 0.5, 0, 1)
    disc *= np.float32(0.82) + np.float32(0.3) * smoothstep(0.6, 1.0, distance / np.float32(radius))
    # Optical vignetting: the lens's rear rim hides part of the aperture from the side.
    shifted = np.hypot(across + x * radius * 0.9, down + (y + 0.2) * radius * 0.9)
    disc *= np.clip((radius * 1.02 - shifted) / 1.2 + 0.5, 0, 1)
    return np.asarray(disc, dtype=np.float32)


def _add_patch(light: Floats, patch: Floats, column: float, row: float) -> None:
    """Add a small picture centred on a pixel, as far as it lies inside."""
    reach = patch.shape[0] // 2
    top, left = round(row) - reach, round(column) - reach
    bottom, right = top + patch.shape[0], left + patch.shape[1]
    height, width = light.shape[:2]
    inner_top, inner_left = max(top, 0), max(left, 0)
    inner_bottom, inner_right = min(bottom, height), min(right, width)
    if inner_top < inner_bottom and inner_left < inner_right:
        light[inner_top:inner_bottom, inner_left:inner_right] += patch[
            inner_top - top : inner_bottom - top, inner_left - left : inner_right - left
        ]


def _row(frame: Frame, y: float) -> float:
    return y * frame.unit + frame.horizon * frame.height


def _fixed(x: float, y: float) -> tuple[int, int]:
    """Coordinates as OpenCV takes them with `shift=4`."""
    return round(x * 16), round(y * 16)
