"""A kitchen far out of focus: what stands along the wall across the room.

Lengths are units of the frame, measured from the far edge of the counter in front: X to the right
from the middle, Y downward, so that all of the room has a negative Y. The wall is some six times
as far as the product: a unit is about 1.4 metres there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from photopipe_dagster.providers.local.scenes.frame import REACH, Colour, Floats, Frame
from photopipe_dagster.providers.local.scenes.lens import disc_blur
from photopipe_dagster.providers.local.scenes.light import pool
from photopipe_dagster.providers.local.scenes.noise import smoothstep
from photopipe_dagster.providers.local.scenes.painting import Canvas, scaled, varied

_RESOLUTION = 300
"""Pixels a unit; the disc of confusion is ten of them wide or more."""

_WORKTOP = -0.075
_SHELF = -0.36
_CUPBOARD = -0.37


@dataclass(frozen=True, slots=True)
class Room:
    """How a kitchen is furnished and lit.

    Args:
        walls: Colours of the wall, one of which is taken; linear reflectance, as all colours.
        fronts: Colours of the cupboards.
        worktops: Colours of the worktop along the wall.
        timbers: Colours of shelves and boards.
        pottery: Colours of what stands about.
        daylight: Colour of the light from the left.
        ambient: Light where the daylight does not reach, as a share of it.
        windows: How often the window is in the picture, 0 to 1; else it is beside it.
        lamps: How often lamps hang in the picture and shine, 0 to 1.
        parts: What may stand along the wall, from left to right in any order.
    """

    walls: tuple[Colour, ...]
    fronts: tuple[Colour, ...]
    worktops: tuple[Colour, ...]
    timbers: tuple[Colour, ...]
    pottery: tuple[Colour, ...]
    daylight: Colour
    ambient: float
    windows: float
    lamps: float
    parts: tuple[str, ...]

    def seen(self, frame: Frame, rng: np.random.Generator, blur: float) -> Floats:
        """The room out of focus: (rows, columns, 3) linear light, small.

        Args:
            frame: The picture's frame.
            rng: Furnishes the room.
            blur: Radius of the disc of confusion, units.
        """
        small = frame.limited(_RESOLUTION)
        wall, front, worktop, timber = (
            varied(each[int(rng.integers(len(each)))], rng, 0.05)
            for each in (self.walls, self.fronts, self.worktops, self.timbers)
        )
        colours = _Colours(wall, front, worktop, timber, self.pottery)
        canvas = Canvas.filled(small, colours.wall)
        window = rng.random() < self.windows
        stretches = self._stretches(rng, window)
        _run(canvas, colours)
        for part, left, right in stretches:
            _PARTS[part](canvas, colours, left, right, rng)
        for part, left, right in stretches:
            if part != "tall":
                _worktop_things(canvas, colours, left, right, rng)
        canvas.light[:] *= self._daylight(small, rng)
        if window:
            _window(canvas, -0.80, float(rng.uniform(-0.36, -0.20)), rng)
        if rng.random() < self.lamps:
            _lamps(canvas, rng)
        return disc_blur(canvas.light, blur * small.unit, rim=0.12)

    def _stretches(self, rng: np.random.Generator, window: bool) -> list[tuple[str, float, float]]:
        """The parts along the wall with their left and right ends."""
        left = -0.34 if window else -0.95 + float(rng.uniform(-0.25, 0))
        stretches: list[tuple[str, float, float]] = []
        while left < REACH:
            before = stretches[-1][0] if stretches else ""
            part = str(rng.choice([each for each in self.parts if each != before]))
            right = left + float(rng.uniform(*_WIDTHS[part]))
            stretches.append((part, left, right))
            left = right
        return stretches

    def _daylight(self, frame: Frame, rng: np.random.Generator) -> Floats:
        """Light from the left, darker under cupboards and towards the floor."""
        x, y = frame.x, frame.y
        reach = float(rng.uniform(0.7, 1.0))
        light = np.float32(self.ambient) + np.float32(1.2 - self.ambient) * pool(
            x, y, (-0.62, -0.30), (reach, 0.85)
        )
        light = light * (1 - np.float32(0.35) * smoothstep(_WORKTOP + 0.01, 0.03, y))
        return np.asarray(light[..., None] * np.array(self.daylight, np.float32), np.float32)


@dataclass(frozen=True, slots=True)
class _Colours:
    """What was chosen for one picture."""

    wall: Colour
    front: Colour
    worktop: Colour
    timber: Colour
    pottery: tuple[Colour, ...]

    def pot(self, rng: np.random.Generator) -> Colour:
        """The colour of one vessel."""
        return varied(self.pottery[int(rng.integers(len(self.pottery)))], rng, 0.15)


def _run(canvas: Canvas, colours: _Colours) -> None:
    """The worktop along the wall, and the fronts below it with their shadow gap."""
    canvas.box(-REACH, _WORKTOP, REACH, 0.6, scaled(colours.front, 0.85))
    canvas.box(-REACH, _WORKTOP + 0.014, REACH, _WORKTOP + 0.030, scaled(colours.front, 0.35))
    canvas.box(-REACH, _WORKTOP - 0.004, REACH, _WORKTOP + 0.016, colours.worktop)


def _cupboards(
    canvas: Canvas, colours: _Colours, left: float, right: float, rng: np.random.Generator
) -> None:
    """Doors on the wall up to the ceiling, and their shade below."""
    low = _CUPBOARD + float(rng.uniform(-0.03, 0.04))
    for step, shade in ((0.09, 0.93), (0.06, 0.86), (0.03, 0.74)):
        canvas.box(left, low, right, low + step, scaled(colours.wall, shade))
    canvas.box(left, -REACH, right, low, colours.front)
    doors = max(1, round((right - left) / 0.26))
    for door in range(doors + 1):
        seam = left + (right - left) * door / doors
        canvas.box(seam - 0.005, -REACH, seam + 0.005, low, scaled(colours.front, 0.4))
    canvas.box(left, low - 0.008, right, low, scaled(colours.front, 0.45))
    if rng.random() < 0.35:  # lit from below
        glow = (colours.wall[0] * 1.5, colours.wall[1] * 1.28, colours.wall[2] * 0.95)
        canvas.box(left + 0.02, low + 0.004, right - 0.02, low + 0.05, glow)


def _shelves(
    canvas: Canvas, colours: _Colours, left: float, right: float, rng: np.random.Generator
) -> None:
    """Open shelves with pottery, books and a plant."""
    first = _SHELF + float(rng.uniform(-0.03, 0.05))
    for level in (first, first - float(rng.uniform(0.2, 0.26)))[: int(rng.integers(1, 3))]:
        canvas.box(left, level + 0.018, right, level + 0.06, scaled(colours.wall, 0.8))
        x = left + 0.03
        while x < right - 0.05:
            width = float(rng.uniform(0.03, 0.085))
            height = min(0.15, float(rng.uniform(0.5, 1.8)) * width)
            luck = rng.random()
            if luck < 0.62:
                canvas.vessel(x + width / 2, level, width, height, colours.pot(rng))
            elif luck < 0.72:
                canvas.leaves(x + width / 2, level - 0.05, (0.04, 0.035), 45, rng)
            x += width + float(rng.uniform(0.004, 0.06))
        canvas.box(left, level, right, level + 0.018, colours.timber)


def _hood(
    canvas: Canvas, colours: _Colours, left: float, right: float, rng: np.random.Generator
) -> None:
    """A hood over the hob with a pan on it."""
    colour = ((0.32, 0.32, 0.32), scaled(colours.wall, 0.92), (0.10, 0.10, 0.105))[
        int(rng.integers(3))
    ]
    middle, half = (left + right) / 2, 0.19
    canvas.box(middle - 0.085, -REACH, middle + 0.085, -0.40, colour)
    canvas.box(middle - half, -0.41, middle + half, -0.365, scaled(colour, 0.85))
    canvas.box(middle - half, -0.365, middle + half, -0.33, scaled(colours.wall, 0.8))
    canvas.box(middle - half, _WORKTOP - 0.006, middle + half, _WORKTOP + 0.008, (0.03, 0.03, 0.03))
    if rng.random() < 0.6:
        canvas.vessel(middle + 0.05, _WORKTOP - 0.006, 0.15, 0.08, colours.pot(rng))


def _tall(
    canvas: Canvas, colours: _Colours, left: float, right: float, rng: np.random.Generator
) -> None:
    """Cupboards from floor to ceiling, with an oven's dark glass where there is one."""
    canvas.box(left, -REACH, right, 0.6, scaled(colours.front, 0.94))
    for seam in (left, (left + right) / 2, right):
        canvas.box(seam - 0.005, -REACH, seam + 0.005, 0.6, scaled(colours.front, 0.45))
    if rng.random() < 0.5:
        edge = (left + right) / 2 - 0.02
        for step in range(8):  # the glass mirrors the room: more of it towards its top
            top, mirrored = -0.40 + 0.035 * step, 0.11 - 0.009 * step
            canvas.box(left + 0.03, top, edge, -0.12, (mirrored, mirrored, 1.05 * mirrored))
        canvas.box(left + 0.03, -0.40, edge, -0.375, (0.34, 0.34, 0.34))


def _wall(
    canvas: Canvas, colours: _Colours, left: float, right: float, rng: np.random.Generator
) -> None:
    """Bare wall; now and then a rail with tools."""
    if rng.random() < 0.4:
        canvas.box(left + 0.04, -0.34, right - 0.04, -0.33, (0.25, 0.19, 0.10))
        for x in np.arange(left + 0.07, right - 0.06, 0.065):
            drop = float(rng.uniform(0.06, 0.14))
            canvas.box(x, -0.33, x + 0.018, -0.33 + drop, colours.pot(rng))


def _tiles(
    canvas: Canvas, colours: _Colours, left: float, right: float, rng: np.random.Generator
) -> None:
    """Tiles up to the ceiling, no two quite alike; a shelf above."""
    tone = colours.pot(rng) if rng.random() < 0.4 else colours.wall
    for row in range(14):
        for column in range(round((right - left) / 0.09)):
            x = left + (column + 0.5 * (row % 2)) * 0.09
            y = _WORKTOP - (row + 1) * 0.045
            canvas.box(x, y, min(right, x + 0.086), y + 0.042, varied(tone, rng, 0.14))


_Part = Callable[[Canvas, _Colours, float, float, np.random.Generator], None]

_PARTS: dict[str, _Part] = {
    "cupboards": _cupboards,
    "shelves": _shelves,
    "hood": _hood,
    "tall": _tall,
    "wall": _wall,
    "tiles": _tiles,
}

_WIDTHS: dict[str, tuple[float, float]] = {
    "cupboards": (0.4, 0.75),
    "shelves": (0.4, 0.7),
    "hood": (0.42, 0.5),
    "tall": (0.42, 0.6),
    "wall": (0.25, 0.5),
    "tiles": (0.35, 0.6),
}


def _worktop_things(
    canvas: Canvas, colours: _Colours, left: float, right: float, rng: np.random.Generator
) -> None:
    """What stands along the wall, in groups with room between them."""
    x = left + float(rng.uniform(0.0, 0.2))
    while x < right - 0.05:
        luck, width = rng.random(), float(rng.uniform(0.05, 0.1))
        if luck < 0.34:
            canvas.vessel(
                x, _WORKTOP, width, width * float(rng.uniform(0.7, 2.2)), colours.pot(rng)
            )
        elif luck < 0.48:
            tall = float(rng.uniform(0.16, 0.24))
            canvas.box(x, _WORKTOP - tall, x + 0.13, _WORKTOP, varied(colours.timber, rng, 0.2))
        elif luck < 0.62:
            canvas.vessel(x, _WORKTOP, 0.07, 0.075, colours.pot(rng))
            canvas.leaves(x, _WORKTOP - 0.13, (0.05, 0.045), 90, rng)
        elif luck < 0.72:
            for dx in (-0.035, 0.0, 0.035, -0.015, 0.02):
                fruit = ((0.60, 0.40, 0.05), (0.45, 0.10, 0.04), (0.28, 0.36, 0.07))[
                    int(rng.integers(3))
                ]
                canvas.oval(x + dx, _WORKTOP - 0.05 - abs(dx) / 4, 0.022, 0.021, fruit)
            canvas.vessel(x, _WORKTOP, 0.13, 0.04, colours.pot(rng))
        elif luck < 0.8:
            canvas.vessel(x, _WORKTOP, 0.09, 0.14, (0.34, 0.34, 0.34))
        x += width + float(rng.uniform(0.03, 0.28))


def _window(canvas: Canvas, left: float, right: float, rng: np.random.Generator) -> None:
    """A window over the worktop, brighter than the film can hold; a hint of green outside."""
    bottom = _WORKTOP - float(rng.uniform(0.03, 0.12))
    frame_colour = (0.74, 0.74, 0.73)
    canvas.box(left, -REACH, right + 0.03, bottom + 0.03, frame_colour)
    for step in np.linspace(0, 1, 12):
        y = -REACH + (bottom + REACH) * step
        canvas.box(left, y, right, bottom, (2.9 - 0.9 * step, 3.0 - 0.9 * step, 3.1 - 1.1 * step))
    for _ in range(int(rng.integers(0, 130))):
        x, y = rng.uniform(left, right - 0.02), bottom - abs(rng.normal(0, 0.09))
        tone = float(rng.uniform(0.6, 1.7))
        size = float(rng.uniform(0.015, 0.035))
        canvas.oval(
            min(float(x), right - size),
            min(float(y), bottom - size),
            size,
            size * 0.7,
            (0.55 * tone, 0.72 * tone, 0.36 * tone),
        )
    panes = int(rng.integers(1, 3))
    for pane in range(1, panes + 1):
        x = right - 0.36 * pane
        canvas.box(x - 0.014, -REACH, x + 0.014, bottom, frame_colour)
    if rng.random() < 0.4:
        y = float(rng.uniform(-0.5, -0.4))
        canvas.box(left, y, right, y + 0.018, frame_colour)
    if rng.random() < 0.45:  # a curtain that the light comes through
        for fold in np.arange(right - 0.12, right + 0.05, 0.012):
            tone = float(rng.uniform(1.0, 1.5))
            canvas.box(fold, -REACH, fold + 0.013, bottom + 0.02, scaled((1.0, 0.97, 0.9), tone))
    canvas.box(left, bottom, right + 0.05, bottom + 0.022, (1.15, 1.13, 1.08))


def _lamps(canvas: Canvas, rng: np.random.Generator) -> None:
    """Lamps that hang over a table across the room."""
    height, x = float(rng.uniform(-0.52, -0.42)), float(rng.uniform(-0.3, 0.45))
    shade = ((0.05, 0.05, 0.05), (0.6, 0.42, 0.2), (0.72, 0.7, 0.66))[int(rng.integers(3))]
    size, globe = float(rng.uniform(0.022, 0.034)), rng.random() < 0.5
    light = scaled((3.4, 2.5, 1.5), float(rng.uniform(0.6, 1.1)))
    for step in range(int(rng.integers(1, 4))):
        middle = x + 0.26 * step
        canvas.box(middle - 0.003, -REACH, middle + 0.003, height, scaled(shade, 0.6))
        if globe:
            canvas.oval(middle, height, size, size, light)
        else:
            canvas.oval(middle, height - 0.01, 1.5 * size, size, shade)
            canvas.oval(middle, height + 0.5 * size, 1.3 * size, 0.5 * size, light)
