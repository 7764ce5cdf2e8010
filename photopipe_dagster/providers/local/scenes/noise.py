"""Smooth random fields, the raw material of stone, wood and leaves.

A field is a periodic grid of random numbers, interpolated smoothly. Everything drawn from one
seeded generator is the same in every size of the picture.
"""

from __future__ import annotations

import cv2
import numpy as np

from photopipe_dagster.providers.local.scenes.frame import Floats

_CELLS = 64
_TEXELS = 16
_PAD = 2


class NoiseField:
    """A periodic random field of mean 0 and standard deviation about 0.7, one cell to the unit.

    Args:
        rng: Seeded generator; the field is a function of its state alone.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        grid = rng.standard_normal((_CELLS, _CELLS), dtype=np.float32)
        padded = np.pad(np.clip(grid, -2, 2), _PAD, mode="wrap")
        side = padded.shape[0] * _TEXELS
        fine = cv2.resize(padded, (side, side), interpolation=cv2.INTER_CUBIC)
        margin = _PAD * _TEXELS
        self._tile = np.ascontiguousarray(fine[margin:-margin, margin:-margin])
        # Octaves read the same tile in places far from each other.
        self._shifts = rng.uniform(0, _CELLS, (16, 2))

    def at(self, x: Floats, y: Floats, octave: int = 0) -> Floats:
        """The field at coordinates of the same shape (two axes), in cells."""
        shift_x, shift_y = self._shifts[octave % len(self._shifts)]
        sampled = cv2.remap(
            self._tile,
            _texels(x, shift_x),
            _texels(y, shift_y),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        return np.asarray(sampled, dtype=np.float32)

    def fractal(
        self,
        x: Floats,
        y: Floats,
        octaves: int,
        *,
        footprint: Floats | float = 0.0,
        gain: float = 0.5,
        first: int = 0,
    ) -> Floats:
        """Octaves of the field, each twice as fine and `gain` times as strong as the last.

        Args:
            x: Coordinates in cells of the coarsest octave, (rows, columns).
            y: The same for the other axis.
            octaves: How many.
            footprint: Size of a pixel in cells of the coarsest octave, broadcast to the shape of
                x. What is finer than a pixel fades out, so that it does not alias.
            gain: Strength of an octave relative to the one before.
            first: Which of the field's independent octaves to begin with.
        """
        total = np.zeros_like(x)
        for octave in range(octaves):
            frequency = np.float32(2.0**octave)
            layer = self.at(x * frequency, y * frequency, first + octave)
            total += layer * (
                np.float32(gain**octave)
                * resolved(np.asarray(footprint * frequency, dtype=np.float32))
            )
        return total


def _texels(cells: Floats, shift: float) -> Floats:
    """Coordinates in the tile; several times as fast as the operator %."""
    turns = cells * np.float32(1 / _CELLS) + np.float32(shift / _CELLS)
    turns -= np.floor(turns)
    turns *= np.float32(_CELLS * _TEXELS)
    return turns


def resolved(cycles: Floats) -> Floats:
    """How much of a detail survives in a pixel that covers `cycles` of its periods: 1 to 0."""
    return smoothstep(0.7, 0.25, cycles)


def smoothstep(start: float, end: float, value: Floats) -> Floats:
    """A soft step from 0 at `start` to 1 at `end`; falls where `end` is less than `start`."""
    t = np.clip((value - start) / np.float32(end - start), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)
