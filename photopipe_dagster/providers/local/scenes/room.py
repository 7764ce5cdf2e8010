"""A bright kitchen, painted plainly: everything in it is far out of focus.

Lengths are units of the frame, measured from the far edge of the counter in front: X to the right
from the middle, Y downward, so that all of the room has a negative Y.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from photopipe_dagster.providers.local.scenes.frame import REACH, Floats, Frame
from photopipe_dagster.providers.local.scenes.lens import disc_blur
from photopipe_dagster.providers.local.scenes.light import pool
from photopipe_dagster.providers.local.scenes.noise import smoothstep

_RESOLUTION = 420
"""Pixels a unit; the disc of confusion is eight of them wide or more."""

_BLUR = 0.019
_WORKTOP = -0.105
_SHELF = -0.375
_CUPBOARD = -0.35

Colour = tuple[float, float, float]

_WALL: Colour = (0.74, 0.73, 0.70)
_OAK: Colour = (0.40, 0.26, 0.145)
_STEEL: Colour = (0.30, 0.30, 0.30)
_BRASS: Colour = (0.46, 0.31, 0.12)
_FRONTS: tuple[Colour, ...] = (
    (0.72, 0.71, 0.68),
    (0.36, 0.42, 0.36),
    (0.55, 0.51, 0.45),
    (0.38, 0.45, 0.50),
)
_POTTERY: tuple[Colour, ...] = (
    (0.70, 0.67, 0.61),
    (0.42, 0.22, 0.13),
    (0.16, 0.22, 0.26),
    (0.55, 0.44, 0.28),
    (0.20, 0.27, 0.20),
    (0.80, 0.79, 0.76),
)


@dataclass(frozen=True, slots=True)
class _Canvas:
    """A small picture in linear light that is painted on in units."""

    frame: Frame
    light: Floats

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """Fill a rectangle."""
        left, right = round(self.frame.column(x0)), round(self.frame.column(x1))
        top, bottom = self.frame.row(y0), self.frame.row(y1)
        self.light[top:bottom, max(left, 0) : max(right, 0)] = colour

    def oval(self, x: float, y: float, across: float, down: float, colour: Colour) -> None:
        """Fill an ellipse of the given half axes."""
        row = y * self.frame.unit + self.frame.horizon * self.frame.height
        centre = (round(self.frame.column(x) * 16), round(row * 16))
        axes = (round(across * self.frame.unit * 16), round(down * self.frame.unit * 16))
        cv2.ellipse(self.light, centre, axes, 0, 0, 360, colour, -1, shift=4)

    def vessel(self, x: float, base: float, width: float, height: float, colour: Colour) -> None:
        """A round jar or pot: darker to the right, a highlight to the left."""
        half = width / 2
        for part in np.linspace(-1, 1, 9)[:-1]:
            shade = float(1.12 - 0.5 * (part + 0.2) ** 2 - 0.25 * (part > 0.4))
            tone = (colour[0] * shade, colour[1] * shade, colour[2] * shade)
            self.box(x + half * part, base - height, x + half * (part + 0.25), base, tone)
        self.oval(x, base - height, half, half * 0.25, _scaled(colour, 0.8))

    def plant(self, x: float, base: float, size: float, rng: np.random.Generator) -> None:
        """Leaves above a pot."""
        self.vessel(x, base, size * 0.55, size * 0.45, _POTTERY[0])
        for _ in range(110):
            dx, dy = rng.normal(0, size * 0.30), rng.normal(0, size * 0.24)
            tone = float(rng.uniform(0.4, 1.6))
            green = (0.075 * tone, 0.15 * tone, 0.045 * tone)
            self.oval(x + dx, base - size * 0.85 + dy, size * 0.12, size * 0.07, green)


def kitchen_room(frame: Frame, rng: np.random.Generator) -> Floats:
    """The room behind the counter, out of focus: (rows, columns, 3) linear light, small."""
    small = frame.limited(_RESOLUTION)
    light = np.empty((small.height, small.width, 3), dtype=np.float32)
    light[:] = _WALL
    canvas = _Canvas(small, light)
    fronts = _FRONTS[int(rng.integers(len(_FRONTS)))]
    _tiles(canvas, rng)
    _base_cupboards(canvas, fronts)
    _wall_cupboards(canvas, fronts, 0.27 + float(rng.uniform(-0.03, 0.05)))
    _shelf(canvas, rng)
    _worktop_things(canvas, rng)
    light *= _daylight(small)[..., None] * np.array([1.0, 0.985, 0.95], dtype=np.float32)
    _window(canvas, -0.40 + float(rng.uniform(-0.04, 0.03)), rng)
    return disc_blur(light, _BLUR * small.unit, rim=0.15)


def _daylight(frame: Frame) -> Floats:
    """Light from the window at the left, darker under cupboards and towards the floor."""
    x, y = frame.x, frame.y
    light = np.float32(0.52) + np.float32(0.75) * pool(x, y, (-0.45, -0.35), (0.62, 0.75))
    under = smoothstep(_CUPBOARD + 0.10, _CUPBOARD, y) * smoothstep(_CUPBOARD - 0.01, _CUPBOARD, y)
    light *= 1 - np.float32(0.28) * under * smoothstep(0.20, 0.30, x)
    light *= 1 - np.float32(0.45) * smoothstep(_WORKTOP, 0.0, y)
    return np.asarray(light, dtype=np.float32)


def _tiles(canvas: _Canvas, rng: np.random.Generator) -> None:
    """Glazed tiles between worktop and cupboards, no two quite alike."""
    width, height, joint = 0.088, 0.044, 0.004
    for row in range(7):
        top = _WORKTOP - (row + 1) * height
        for column in range(-3, 14):
            left = -0.22 + (column + 0.5 * (row % 2)) * width
            tone = float(rng.normal(0.70, 0.055))
            tile = (tone, tone * 0.995, tone * 0.965)
            canvas.box(left, top, left + width - joint, top + height - joint, tile)


def _base_cupboards(canvas: _Canvas, fronts: Colour) -> None:
    """The worktop along the wall and the fronts below it."""
    canvas.box(-REACH, _WORKTOP, REACH, 0.6, _scaled(fronts, 0.85))
    for index in range(-5, 6):
        seam = 0.21 * index + 0.04
        canvas.box(seam, _WORKTOP, seam + 0.006, 0.6, _scaled(fronts, 0.35))
        canvas.box(seam + 0.06, _WORKTOP + 0.045, seam + 0.15, _WORKTOP + 0.055, _BRASS)
    canvas.box(-REACH, _WORKTOP + 0.018, REACH, _WORKTOP + 0.030, _scaled(fronts, 0.3))
    canvas.box(-REACH, _WORKTOP, REACH, _WORKTOP + 0.022, (0.80, 0.79, 0.77))


def _wall_cupboards(canvas: _Canvas, fronts: Colour, left: float) -> None:
    """Cupboards on the wall at the right, up to the ceiling."""
    canvas.box(left, -REACH, REACH, _CUPBOARD, fronts)
    for door in range(5):
        seam = left + 0.19 * door
        canvas.box(seam, -REACH, seam + 0.006, _CUPBOARD, _scaled(fronts, 0.45))
        canvas.box(seam + 0.025, _CUPBOARD - 0.10, seam + 0.034, _CUPBOARD - 0.03, _BRASS)
        panel = _scaled(fronts, 0.93)
        canvas.box(seam + 0.045, -REACH, seam + 0.155, _CUPBOARD - 0.04, panel)
    canvas.box(left, _CUPBOARD - 0.008, REACH, _CUPBOARD, _scaled(fronts, 0.4))


def _shelf(canvas: _Canvas, rng: np.random.Generator) -> None:
    """Open shelves of oak with pottery."""
    for level in (_SHELF, _SHELF - 0.20):
        x = -0.165
        while x < 0.19:
            width = float(rng.uniform(0.035, 0.075))
            height = float(rng.uniform(0.5, 1.5)) * width
            if rng.random() < 0.78:
                colour = _POTTERY[int(rng.integers(len(_POTTERY)))]
                canvas.vessel(x + width / 2, level, width, min(height, 0.12), colour)
            x += width + float(rng.uniform(0.004, 0.03))
        canvas.box(-0.19, level, 0.225, level + 0.018, _OAK)
        canvas.box(-0.19, level + 0.018, 0.225, level + 0.034, _scaled(_WALL, 0.55))
    if rng.random() < 0.7:
        canvas.plant(float(rng.uniform(-0.12, 0.12)), _SHELF - 0.20, 0.10, rng)


def _worktop_things(canvas: _Canvas, rng: np.random.Generator) -> None:
    """What stands along the wall: boards, pots, a plant, fruit."""
    board = float(rng.uniform(0.30, 0.42))
    canvas.box(board, _WORKTOP - 0.19, board + 0.11, _WORKTOP, _scaled(_OAK, 1.25))
    canvas.box(board + 0.055, _WORKTOP - 0.14, board + 0.16, _WORKTOP, _scaled(_OAK, 0.85))
    canvas.plant(-0.24 + float(rng.uniform(-0.03, 0.03)), _WORKTOP, 0.13, rng)
    canvas.vessel(0.22 + float(rng.uniform(-0.04, 0.04)), _WORKTOP, 0.065, 0.085, _STEEL)
    canvas.vessel(0.56 + float(rng.uniform(-0.04, 0.04)), _WORKTOP, 0.05, 0.13, _POTTERY[3])
    bowl = float(rng.uniform(-0.10, 0.04))
    for dx, dy in ((-0.034, 0.05), (0.034, 0.05), (0.0, 0.052), (-0.016, 0.076), (0.018, 0.074)):
        canvas.oval(bowl + dx, _WORKTOP - dy, 0.021, 0.019, (0.62, 0.42, 0.05))
    canvas.vessel(bowl, _WORKTOP, 0.125, 0.042, _POTTERY[2])


def _window(canvas: _Canvas, centre: float, rng: np.random.Generator) -> None:
    """A window over the worktop, brighter than the film can hold; a hint of green outside."""
    left, right, top, bottom = centre - 0.155, centre + 0.155, -0.66, -0.165
    frame_colour = (0.72, 0.72, 0.71)
    canvas.box(left - 0.022, top - 0.022, right + 0.022, bottom + 0.03, frame_colour)
    canvas.box(left, top, right, bottom, (2.5, 2.62, 2.68))
    for _ in range(70):
        x, y = rng.uniform(left, right), rng.uniform(bottom - 0.17, bottom)
        tone = float(rng.uniform(0.6, 1.6))
        canvas.oval(
            float(np.clip(x, left + 0.03, right - 0.03)),
            float(min(y, bottom - 0.02)),
            0.030,
            0.020,
            (0.62 * tone, 0.85 * tone, 0.42 * tone),
        )
    canvas.box(centre - 0.013, top, centre + 0.013, bottom, frame_colour)
    canvas.box(left, -0.455, right, -0.434, frame_colour)
    canvas.box(left - 0.04, bottom + 0.015, right + 0.04, bottom + 0.034, (1.0, 0.98, 0.94))


def _scaled(colour: Colour, factor: float) -> Colour:
    return colour[0] * factor, colour[1] * factor, colour[2] * factor
