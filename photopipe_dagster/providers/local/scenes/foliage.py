"""A garden far out of focus: masses of leaves, and the sky through them as discs of light.

Lengths are units of the frame, measured from the far edge of the table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photopipe_dagster.providers.local.scenes.frame import REACH, Colour, Floats, Frame
from photopipe_dagster.providers.local.scenes.lens import disc_blur, soft_blur
from photopipe_dagster.providers.local.scenes.light import pool
from photopipe_dagster.providers.local.scenes.noise import NoiseField, smoothstep
from photopipe_dagster.providers.local.scenes.painting import Canvas, scaled

_RESOLUTION = 300
"""Pixels a unit; the disc of confusion is ten of them wide or more."""


@dataclass(frozen=True, slots=True)
class Foliage:
    """What grows behind the table, and its light.

    Args:
        shade: Light from leaves in deep shade, linear RGB, as the film gets it.
        leaf: From leaves in the open.
        sunlit: From leaves that the sun shines through.
        glow: Of the haze about the sun.
        lawn: From the ground behind the table.
        sky: Of the sky through the leaves.
        gaps: How many gaps of sky there are.
        haze: Strength of the glow, 0 to 1.
        wall: Colour of a wall in the sun that part of the picture shows; none where black.
    """

    shade: Colour
    leaf: Colour
    sunlit: Colour
    glow: Colour
    lawn: Colour
    sky: Colour
    gaps: int
    haze: float
    wall: Colour = (0.0, 0.0, 0.0)

    def seen(
        self, frame: Frame, rng: np.random.Generator, sun: tuple[float, float], blur: float
    ) -> Floats:
        """Linear light out of focus: (rows, columns, 3), small.

        Args:
            frame: The picture's frame.
            rng: Draws the plants.
            sun: Where the sun stands, units.
            blur: Radius of the disc of confusion, units.
        """
        small = frame.limited(_RESOLUTION)
        noise = NoiseField(rng)
        canvas = Canvas(small, self._masses(small, noise, rng, sun))
        self._sky(canvas, noise, rng, sun)
        if any(self.wall):
            self._wall(canvas, rng)
        self._leaves(canvas, noise, rng, sun, 1700, 0.028)
        light = disc_blur(canvas.light, blur * small.unit, rim=0.0)
        # A lens that is not perfect: the discs fade at their edges.
        light = soft_blur(light, 0.3 * blur * small.unit)
        x, y = np.broadcast_arrays(small.x, small.y)
        veil = np.float32(self.haze) * pool(x, y, sun, (0.5, 0.45))
        light += veil[..., None] * np.array(self.glow, np.float32)
        return np.asarray(light, np.float32)

    def _masses(
        self, frame: Frame, noise: NoiseField, rng: np.random.Generator, sun: tuple[float, float]
    ) -> Floats:
        """Bushes and trees, lit on the side of the sun, and the lawn before them."""
        x, y = (np.ascontiguousarray(each) for each in np.broadcast_arrays(frame.x, frame.y))
        scale = float(rng.uniform(1.7, 2.8))
        wide, high = x * np.float32(scale), y * np.float32(scale * 1.2)
        mass = noise.fractal(wide, high, 4, gain=0.55)
        # What faces the sun is brighter: the masses as a relief.
        shifted = noise.fractal(wide - np.float32(0.12), high - np.float32(0.12), 4, gain=0.55)
        facing = smoothstep(-0.7, 0.7, (mass - shifted) * np.float32(2.5) + np.float32(0.5) * mass)
        near = pool(x, y, sun, (0.75, 0.7))
        shade, leaf, lit, lawn = (
            np.array(each, np.float32) for each in (self.shade, self.leaf, self.sunlit, self.lawn)
        )
        light = shade + facing[..., None] * (leaf - shade)
        light += (facing * near)[..., None] * np.float32(0.5) * (lit - light)
        line = np.float32(rng.uniform(-0.16, -0.07)) + np.float32(0.03) * mass
        there = smoothstep(-0.02, 0.03, y - line)
        lit_lawn = smoothstep(-0.9, 0.7, noise.fractal(wide * 2, high * 5, 2, first=6))
        light += there[..., None] * (
            lawn * (np.float32(0.55) + np.float32(0.6) * lit_lawn)[..., None] - light
        )
        return np.asarray(light, np.float32)

    def _wall(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """A wall of a house, with a climber on it, from one side to somewhere in the picture."""
        left, right = (-REACH, float(rng.uniform(-0.2, 0.15)))
        if rng.random() < 0.5:
            left, right = float(rng.uniform(-0.1, 0.25)), REACH
        foot = float(rng.uniform(-0.12, -0.05))
        for step in np.linspace(left, right, 9)[:-1]:  # darker to the right
            tone = 1.05 - 0.35 * (step + REACH) / (2 * REACH)
            canvas.box(step, -REACH, step + (right - left) / 8, foot, scaled(self.wall, tone))
        for _ in range(int(rng.integers(1, 4))):
            x, y = float(rng.uniform(left, right)), float(rng.uniform(-0.5, foot))
            canvas.leaves(x, y, (0.12, 0.10), 130, rng)
        if rng.random() < 0.6:
            x = float(rng.uniform(left, right))
            canvas.vessel(x, foot + 0.03, 0.13, 0.13, (0.40, 0.19, 0.10))
            canvas.leaves(x, foot - 0.17, (0.07, 0.06), 110, rng)

    def _leaves(
        self,
        canvas: Canvas,
        noise: NoiseField,
        rng: np.random.Generator,
        sun: tuple[float, float],
        count: int,
        size: float,
    ) -> None:
        """Single leaves and sprays in clumps, some lit through."""
        place = rng.uniform((-REACH, -REACH), (REACH, 0.0), (count, 2)).astype(np.float32)
        clump = noise.at(place[:, :1] * np.float32(3.5), place[:, 1:] * np.float32(3.5), 5)[:, 0]
        near = pool(place[:, 0], place[:, 1], sun, (0.7, 0.6))
        luck = rng.random(count)
        turn, long = rng.uniform(0, 180, count), size * rng.uniform(0.5, 1.5, count)
        for i in np.flatnonzero(clump + 0.5 * luck > 0.25):
            lit = luck[i] > 0.9 - 0.25 * near[i]
            tone = float(rng.uniform(0.5, 1.25))
            colour = scaled(self.sunlit if lit else self.leaf, tone)
            canvas.oval(
                float(place[i, 0]),
                float(place[i, 1]),
                float(long[i]),
                0.45 * float(long[i]),
                colour,
                float(turn[i]),
            )

    def _sky(
        self, canvas: Canvas, noise: NoiseField, rng: np.random.Generator, sun: tuple[float, float]
    ) -> None:
        """Gaps to the sky where the leaves are thin: small, close together, and very bright."""
        place = rng.uniform((-REACH, -REACH), (REACH, -0.16), (self.gaps, 2)).astype(np.float32)
        thin = noise.fractal(
            place[:, :1] * np.float32(2.6), place[:, 1:] * np.float32(2.6), 3, first=8
        )[:, 0]
        near = pool(place[:, 0], place[:, 1], sun, (0.8, 0.6))
        high = smoothstep(-0.15, -0.6, place[:, 1])
        score = thin + np.float32(0.5) * near + np.float32(0.8) * high - np.float32(0.75)
        for i in np.flatnonzero(score + rng.normal(0, 0.16, self.gaps) > 0):
            size = float(rng.uniform(0.002, 0.0055))
            power = float(min(rng.lognormal(-0.3, 0.6), 3) * (0.4 + near[i]))
            canvas.oval(float(place[i, 0]), float(place[i, 1]), size, size, scaled(self.sky, power))
