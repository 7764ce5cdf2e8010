"""A background's tone, brought a little towards the product's; the product is left alone.

A product that was photographed in warm light looks pasted into a cool scene. The product's own
near-neutral pixels tell the colour of its light, and its brightest ones its exposure. The
background goes part of the way, by a bounded amount, so that a scene keeps its mood.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

_STRENGTH = 0.4
"""How much of the way the background goes."""

_MOST_TINT, _MOST_EXPOSURE = 0.05, 0.08
"""A channel is never changed by more than these shares, for the colour and for the exposure."""

_NEUTRAL = 0.14
"""Spread of red, green and blue, as a share of their mean, up to which a surface is neutral."""

_GREENISH = 0.02
"""How far green may be from the middle of red and blue, as a share of the mean."""

_ENOUGH = 0.04
"""Share of the product that has to be neutral and lit before its light can be told."""

_SAMPLE = 10_000
"""Pixels that are looked at, about."""

Gains = tuple[float, float, float]

_UNCHANGED: Gains = (1.0, 1.0, 1.0)


def gains(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8], scene: NDArray[np.uint8]) -> Gains:
    """By what to multiply the scene's red, green and blue.

    Args:
        rgb: (height, width, 3) uint8, the product's box.
        alpha: (height, width) uint8.
        scene: (height, width, 3) uint8, sRGB.
    """
    step = max(1, round(math.sqrt(alpha.size / _SAMPLE)))
    product = rgb[::step, ::step][alpha[::step, ::step] == 255].astype(np.float32)
    step = max(1, round(math.sqrt(scene.shape[0] * scene.shape[1] / _SAMPLE)))
    behind = scene[::step, ::step].reshape(-1, 3).astype(np.float32)
    if len(product) == 0:
        return _UNCHANGED
    tint = _tint(product)
    brightness = [float(np.percentile(each.mean(axis=1), 90)) for each in (product, behind)]
    exposure = (max(brightness[0], 1) / max(brightness[1], 1)) ** (_STRENGTH / 2)
    exposure = min(max(exposure, 1 - _MOST_EXPOSURE), 1 + _MOST_EXPOSURE / 2)
    red, green, blue = (round(exposure * channel, 4) for channel in tint)
    return red, green, blue


def matched(scene: NDArray[np.uint8], by: Gains) -> NDArray[np.uint8]:
    """The scene in another tone; the same array where nothing changes."""
    if by == _UNCHANGED:
        return scene
    levels = np.arange(256, dtype=np.float32)[:, None] * np.asarray(by, np.float32)
    # Highlights roll off instead of clipping: white stays white, whatever the gain.
    ramp = np.clip((np.arange(256, dtype=np.float32)[:, None] - 200) / 55, 0, 1)
    kept = levels * (1 - ramp) + np.arange(256, dtype=np.float32)[:, None] * ramp
    table = np.clip(kept + 0.5, 0, 255).astype(np.uint8)
    channels = (cv2.LUT(each, table[:, index]) for index, each in enumerate(cv2.split(scene)))
    return np.asarray(cv2.merge(list(channels)), np.uint8)


def _tint(product: NDArray[np.float32]) -> Gains:
    """What the product's light does to a neutral surface, partly and bounded.

    Light is warmer or cooler, hardly ever greener: what leans to green or magenta is a surface's
    own colour, and says nothing.
    """
    lit = product.mean(axis=1)
    red, green, blue = product.T
    grey = (np.ptp(product, axis=1) <= _NEUTRAL * lit) & (lit >= 140) & (lit <= 250)
    daylight = np.abs(green - (red + blue) / 2) <= _GREENISH * lit
    neutral = product[grey & daylight]
    if len(neutral) < _ENOUGH * len(product):
        return _UNCHANGED
    colour = neutral.mean(axis=0)
    warmth = _STRENGTH * float(colour[0] - colour[2]) / (2 * float(colour.mean()))
    warmth = min(max(warmth, -_MOST_TINT), _MOST_TINT)
    return 1 + warmth, 1.0, 1 - warmth
