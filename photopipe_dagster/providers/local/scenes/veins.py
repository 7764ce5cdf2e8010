"""Polished stone: clouds and veins."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from photopipe_dagster.providers.local.scenes.frame import Floats
from photopipe_dagster.providers.local.scenes.noise import NoiseField, smoothstep


@dataclass(frozen=True, slots=True)
class Veins:
    """One family of roughly parallel veins.

    Args:
        angle: Direction in which they run, radians from the table's width.
        spacing: Typical distance between them, units.
        width: Typical width of the core, units.
        wander: How far they meander, in spacings.
        presence: Fraction of their length that shows, 0 to 1.
        octave: Which part of the noise they are drawn from.
    """

    angle: float
    spacing: float
    width: float
    wander: float
    presence: float
    octave: int

    def drawn(
        self, noise: NoiseField, across: Floats, along: Floats, footprint: Floats
    ) -> tuple[Floats, Floats]:
        """Strength of the veins at points of the table.

        Args:
            noise: The stone's randomness.
            across: Position on the table, (rows, columns), units.
            along: The same for the other axis.
            footprint: Size of a pixel on the table, (rows, 1), units.

        Returns:
            The sharp core and the wide halo about it, each 0 to 1.
        """
        inverse = np.float32(1 / self.spacing)
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        run = (across * cos + along * sin) * inverse
        side = (along * cos - across * sin) * inverse
        bend = noise.fractal(
            run * np.float32(0.45),
            side * np.float32(0.3),
            6,
            footprint=footprint * inverse,
            gain=0.55,
            first=self.octave,
        )
        phase = side + np.float32(self.wander) * bend
        # Veins lie at irregular phases.
        phase += np.float32(0.35) * noise.at(phase * np.float32(0.37), run * 0 + self.octave, 7)
        distance = np.abs(phase - np.round(phase)) * np.float32(self.spacing)
        local = noise.fractal(
            run * np.float32(0.7), side * np.float32(0.7), 3, first=self.octave + 5
        )
        strength = smoothstep(-0.35, 0.65, local + np.float32(2 * self.presence - 1))
        width = np.float32(self.width) * (np.float32(0.3) + strength * np.float32(1.2))
        # A pixel sees the vein averaged over what it covers, across the vein's own direction.
        pixel = _slope(phase) * np.float32(0.6 * self.spacing)
        seen = np.sqrt(width * width + pixel * pixel)
        core = np.exp(-((distance / seen) ** 2)) * (width / seen) * strength
        halo = np.exp(-distance / (width * np.float32(11) + pixel)) * strength
        return np.asarray(core, dtype=np.float32), np.asarray(halo, dtype=np.float32)


def _slope(field: Floats) -> Floats:
    """How much a field changes from a pixel to the next, whatever the direction."""
    right = cv2.Sobel(field, -1, 1, 0, ksize=3, scale=1 / 8)
    down = cv2.Sobel(field, -1, 0, 1, ksize=3, scale=1 / 8)
    return np.asarray(cv2.magnitude(right, down), dtype=np.float32)
