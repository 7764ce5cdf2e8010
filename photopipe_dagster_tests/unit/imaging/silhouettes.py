"""Outlines of drawn things, as a camera near them sees them from any height."""

from __future__ import annotations

import io
import math
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photopipe_dagster.imaging.composite import CutoutPicture, Scene, assemble
from photopipe_dagster.imaging.light import Light

Alpha = NDArray[np.uint8]
Points = NDArray[np.float64]
Solid = list[Points]
"""Convex pieces, each by points on it, (n, 3): x to the right, y away, z up."""

_DISTANCE = 8.0
"""Of the camera; things are about 2 wide or high."""

_TURNS = np.linspace(0, 2 * math.pi, 96, endpoint=False)
_SHARPER = 4


def ring(radius: float, z: float) -> Points:
    return np.column_stack(
        (radius * np.cos(_TURNS), radius * np.sin(_TURNS), np.full(len(_TURNS), z))
    )


def turned(*profile: tuple[float, float]) -> Solid:
    """What a lathe makes: radius and height, from below."""
    rings = [ring(*each) for each in profile]
    return [np.vstack(pair) for pair in pairwise(rings)]


def edge(radius: float, rounding: float) -> list[tuple[float, float]]:
    """The profile of a rounded lower edge."""
    turns = np.linspace(0, math.pi / 2, 8)
    return [
        (radius - rounding * (1 - math.sin(turn)), rounding * (1 - math.cos(turn)))
        for turn in turns
    ]


def lifted(solid: Solid, height: float) -> Solid:
    return [piece + np.array([0, 0, height]) for piece in solid]


def rounded(across: float, high: float, first: float = -1.0, last: float = 1.0) -> Solid:
    """A ball or, of other half axes, something oval; between two of its heights, -1 to 1."""
    profile = [
        (across * math.sqrt(max(0.0, 1 - z * z)), high * (1 + z))
        for z in np.linspace(first, last, 60)
    ]
    return turned(*profile)


def rod(points: Points, radius: float) -> Solid:
    """A round rod along a line of points."""
    ball = np.vstack(
        [ring(radius * math.sin(t), radius * math.cos(t)) for t in (0, 0.8, 1.57, 2.4)]
    )
    return [np.vstack((ball + one, ball + two)) for one, two in pairwise(points)]


def handle(radius: float, degrees: float = 90) -> Solid:
    """A mug's, to the right; 0 is towards the camera."""
    turns = np.linspace(0, math.pi, 16)
    out, up = radius + 0.35 * np.sin(turns), 0.55 - 0.35 * np.cos(turns)
    angle = math.radians(degrees)
    return rod(np.column_stack((out * math.sin(angle), -out * math.cos(angle), up)), 0.07)


def box(width: float, depth: float, height: float, degrees: float = 0) -> Solid:
    angle = math.radians(degrees)
    corners = [
        (
            x * math.cos(angle) - y * math.sin(angle),
            x * math.sin(angle) + y * math.cos(angle),
            z,
        )
        for x in (-width / 2, width / 2)
        for y in (-depth / 2, depth / 2)
        for z in (0, height)
    ]
    return [np.array(corners)]


def pillow(width: float, height: float, corners: float = 5) -> Solid:
    """Square with round corners, and thinner towards its edges."""
    cosines, sines = np.cos(_TURNS), np.sin(_TURNS)
    rim = (abs(cosines) ** corners + abs(sines) ** corners) ** (-1 / corners)
    layers = [
        np.column_stack(
            (
                width / 2 * math.sqrt(1 - z * z) * rim * cosines,
                width / 2 * math.sqrt(1 - z * z) * rim * sines,
                np.full(len(_TURNS), height / 2 * (1 + z)),
            )
        )
        for z in np.linspace(-1, 1, 24)
    ]
    return [np.vstack(layers)]


def seen(solid: Solid, degrees: float, size: int = 480) -> Alpha:
    """The cut-out's box, its longer side of that many pixels, from so many degrees above."""
    flat = [_projected(piece, degrees) for piece in solid]
    every = np.vstack(flat)
    low, extent = every.min(axis=0), np.ptp(every, axis=0)
    scale = _SHARPER * size / extent.max()
    across, down = (max(1, round(side * scale / _SHARPER)) for side in extent)
    drawn = np.zeros((_SHARPER * down, _SHARPER * across), np.uint8)
    for piece in flat:
        hull = cv2.convexHull(((piece - low) * scale).astype(np.float32))
        cv2.fillConvexPoly(drawn, np.rint(hull).astype(np.int32), 255)
    return np.asarray(cv2.resize(drawn, (across, down), interpolation=cv2.INTER_AREA), np.uint8)


def _projected(points: Points, degrees: float) -> Points:
    """(n, 2): to the right and down the picture."""
    angle = math.radians(degrees)
    up = points[:, 2] * math.cos(angle) + points[:, 1] * math.sin(angle)
    away = points[:, 1] * math.cos(angle) - points[:, 2] * math.sin(angle)
    nearness = _DISTANCE / (_DISTANCE + away)
    return np.column_stack((points[:, 0], -up)) * nearness[:, None]


CAN = turned((0.5, 0), (0.5, 1.6))
PLATE = turned((0.6, 0), (1, 0.12), (1, 0.14))
MUG = turned((0.5, 0), (0.5, 1.1))
CUP_ON_A_SAUCER = [
    *turned((0.6, 0), (1.1, 0.14), (1.1, 0.17)),
    *turned((0.3, 0.06), (0.45, 0.16), (0.62, 0.56), (0.65, 0.81)),
]


def in_scene(
    cutout: CutoutPicture, scene: NDArray[np.uint8], light: Light | None, *, lies: bool = False
) -> NDArray[np.uint8]:
    """A product set into a scene of its own size, before any JPEG is written."""
    file = io.BytesIO()
    Image.fromarray(scene).save(file, "PNG", compress_level=1)
    return assemble(cutout, file.getvalue(), Scene(light=light, lies=lies)).rgb
