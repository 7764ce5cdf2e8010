"""Colours as people see them: CIE L*a*b* and the difference ΔE2000."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ],
    np.float32,
)
"""Linear sRGB to XYZ, IEC 61966-2-1."""

_WHITE = np.array([0.95047, 1.0, 1.08883], np.float32)
"""D65, 2° observer."""

_25_TO_7 = np.float32(25.0**7)


def lab(rgb: NDArray[np.uint8]) -> Floats:
    """Convert to CIE L*a*b* (D65).

    Args:
        rgb: (…, 3) uint8, sRGB.

    Returns:
        (…, 3) float32: L* from 0 to 100, a* and b*.
    """
    xyz = _linear()[rgb] @ (_TO_XYZ / _WHITE[:, None]).T
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), axis=-1).astype(np.float32)


def delta_e(first: Floats, second: Floats) -> Floats:
    """The colour difference CIEDE2000 (Sharma, Wu and Dalal, 2005), with all weights 1.

    Args:
        first: (…, 3) L*a*b*.
        second: The same shape.

    Returns:
        (…) float32; about 1 is the least that a person notices.
    """
    l1, a1, b1 = (first[..., index] for index in range(3))
    l2, a2, b2 = (second[..., index] for index in range(3))
    low_7 = _seventh((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2)
    stretch = 1 + 0.5 * (1 - np.sqrt(low_7 / (low_7 + _25_TO_7)))
    a1_, a2_ = a1 * stretch, a2 * stretch
    c1, c2 = np.hypot(a1_, b1), np.hypot(a2_, b2)
    h1, h2 = np.arctan2(b1, a1_), np.arctan2(b2, a2_)
    # The angle between the hues, and the one in their middle, the short way round.
    turn = (h2 - h1 + np.pi) % (2 * np.pi) - np.pi
    turn = np.where(c1 * c2 == 0, 0, turn)
    middle = h1 + np.where(c1 == 0, h2 - h1, turn / 2)
    lightness, chroma = l2 - l1, c2 - c1
    hue = 2 * np.sqrt(c1 * c2) * np.sin(turn / 2)
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    t = (
        1
        - 0.17 * np.cos(middle - np.pi / 6)
        + 0.24 * np.cos(2 * middle)
        + 0.32 * np.cos(3 * middle + np.pi / 30)
        - 0.20 * np.cos(4 * middle - 63 * np.pi / 180)
    )
    off = (mean_l - 50) ** 2
    weight_l = 1 + 0.015 * off / np.sqrt(20 + off)
    weight_c = 1 + 0.045 * mean_c
    weight_h = 1 + 0.015 * mean_c * t
    high_7 = _seventh(mean_c)
    degrees = np.degrees(middle) % 360
    around_blue = np.radians(30) * np.exp(-(((degrees - 275) / 25) ** 2))
    rotation = -2 * np.sqrt(high_7 / (high_7 + _25_TO_7)) * np.sin(2 * around_blue)
    terms = (lightness / weight_l, chroma / weight_c, hue / weight_h)
    squares = terms[0] ** 2 + terms[1] ** 2 + terms[2] ** 2
    total = np.maximum(squares + rotation * terms[1] * terms[2], 0)
    return np.asarray(np.sqrt(total), np.float32)


@cache
def _linear() -> Floats:
    """Linear light, 0 to 1, of every 8-bit sRGB value (IEC 61966-2-1)."""
    values = np.arange(256) / 255
    low, high = values / 12.92, ((values + 0.055) / 1.055) ** 2.4
    return np.where(values <= 0.04045, low, high).astype(np.float32)


def _seventh(values: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    cube = values * values * values
    return np.asarray(cube * cube * values)
