"""What a picture tells of itself as a scene: ground line, and direction and softness of its light.

Simple measurements on a small copy, each with how sure it is. A person corrects them: a picture
without a product says little of its light.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.imaging.decode import decode_rgb, describe
from photopipe_dagster.imaging.light import Light
from photopipe_dagster.imaging.scene_view import MAX_PIXELS, MIN_SIDE, SceneView

_SIDE: Final = 256
"""Pixels of the small copy's longer side."""

_EDGE_FROM, _EDGE_TO = 0.25, 0.85
"""Where a ground's far edge is looked for, shares of the height."""

_DEPTH: Final = 0.45
"""How far products stand in front of the ground's far edge, share of what is below it."""

_SEAMLESS: Final = 0.78
"""The ground line where no far edge is seen, as on seamless paper."""

_CLEAR_EDGE: Final = 14.0
"""Median step of lightness along a far edge that leaves no doubt, levels of 255."""

_CLEAR_FALL: Final = 0.12
"""Fall of lightness across the ground, share of its mean, that leaves no doubt."""


@dataclass(frozen=True, slots=True)
class SceneEstimate:
    """A scene as a picture tells it.

    Args:
        view: What is known of it; what cannot be told is what is usual.
        confidence: How sure each number is, 0 (only what is usual) to 1, by its name.
    """

    view: SceneView
    confidence: dict[str, float]


def estimate_scene(data: bytes) -> SceneEstimate:
    """Look at a picture as a scene.

    Raises:
        PhotoRejectedError: It cannot be read, or is too large or too small for one; says which.
    """
    info = describe(data, max_pixels=MAX_PIXELS)
    if min(info.width, info.height) < MIN_SIDE:
        raise PhotoRejectedError(
            f"The scene is {info.width}×{info.height} pixels; a scene has {MIN_SIDE} "
            "or more on its shorter side, for no canvas enlarges it. Send a larger picture."
        )
    rgb = decode_rgb(data, max_pixels=MAX_PIXELS)
    scale = _SIDE / max(rgb.shape[:2])
    size = max(8, round(rgb.shape[1] * scale)), max(8, round(rgb.shape[0] * scale))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    edge, edge_sure = _far_edge(grey)
    ground = _SEAMLESS if edge is None else edge + _DEPTH * (1 - edge)
    area = grey[round((ground - 0.1) * size[1]) :]
    azimuth, azimuth_sure = _direction(area)
    softness, softness_sure = _softness(area)
    light = replace(Light(plain=edge is None), azimuth_degrees=azimuth, softness=round(softness, 2))
    view = SceneView(info.width, info.height, round(ground, 3), light=light)
    confidence = {
        "ground": edge_sure,
        "azimuth": azimuth_sure,
        "softness": softness_sure,
        "elevation": 0.0,
        "pitch_degrees": 0.0,
    }
    return SceneEstimate(view, {name: round(value, 2) for name, value in confidence.items()})


def _far_edge(grey: NDArray[np.float32]) -> tuple[float | None, float]:
    """Where the ground ends, a share of the height, and how sure: the most level step of lightness.

    The median along the row tells a table's edge from whatever stands behind it.
    """
    height = len(grey)
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.2)
    step = np.abs(smooth[2:] - smooth[:-2])
    level = np.median(step, axis=1)
    first, last = round(_EDGE_FROM * height), round(_EDGE_TO * height)
    row = first + int(level[first:last].argmax())
    usual = float(np.median(level[first:last]))
    clear = float(level[row]) - 2 * usual
    sure = min(1.0, max(0.0, clear / _CLEAR_EDGE))
    if sure < 0.15:
        return None, 0.2
    return (row + 1) / height, sure


def _direction(area: NDArray[np.float32]) -> tuple[float, float]:
    """Where the light comes from, degrees as `Light` has them, and how sure: a ground is brighter
    on the side of the light.
    """
    height, width = area.shape
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    xs, ys = xs / width - 0.5, ys / height - 0.5
    terms = np.stack((np.ones_like(xs), xs, ys), axis=-1).reshape(-1, 3)
    seen = area.reshape(-1)
    factors, *_ = np.linalg.lstsq(terms, seen, rcond=None)
    mean = max(1.0, float(seen.mean()))
    right, near = float(factors[1]) / mean, float(factors[2]) / mean
    spread = float(((seen - seen.mean()) ** 2).sum())
    left_over = float(((seen - terms @ factors) ** 2).sum())
    explained = 1 - left_over / spread if spread > 0 else 0.0
    sure = min(1.0, abs(right) / _CLEAR_FALL) * max(0.0, explained)
    if sure < 0.1:
        return Light().azimuth_degrees, 0.1
    # How far it is behind the product is told badly: a ground darkens towards the camera anyway.
    behind = min(1.5, max(0.5, -near / abs(right)))
    degrees = math.degrees(math.atan2(math.copysign(1, right), behind)) % 360
    return round(degrees, 0), min(0.8, sure)


def _softness(area: NDArray[np.float32]) -> tuple[float, float]:
    """How soft the light is, and how sure: what is on the ground has sharp shadows or not."""
    blurred = cv2.GaussianBlur(area, (0, 0), 1.0)
    steep = np.hypot(cv2.Sobel(blurred, cv2.CV_32F, 1, 0), cv2.Sobel(blurred, cv2.CV_32F, 0, 1)) / 8
    sharpest = float(np.percentile(steep, 99)) / max(1.0, float(area.mean()))
    if sharpest < 0.01:  # nothing on the ground throws a shadow that could be looked at
        return Light().softness, 0.1
    return min(0.9, max(0.1, 0.9 - 8 * sharpest)), 0.3
