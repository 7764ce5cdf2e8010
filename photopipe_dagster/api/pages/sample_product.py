"""A plain glazed vase: what themes are shown with before there is a photo."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_PROFILE: Final = (
    # height above the foot, radius; both in heights of the vase
    (0.00, 0.15),
    (0.20, 0.28),
    (0.42, 0.33),
    (0.62, 0.26),
    (0.78, 0.11),
    (0.92, 0.09),
    (1.00, 0.16),
)
_SMOOTHING: Final = 91
"""Of the profile's 400 samples."""

_GLAZE: Final = np.array([0.30, 0.46, 0.47])
_TALL: Final = 0.52
_FOOT: Final = 0.80
"""Of the picture's height: how tall it is, and where it stands."""

_ROUND: Final = 0.05
"""Of its height: how far the front of its foot comes towards the camera."""

_LIGHT: Final = np.array([-0.55, 0.45, 0.70]) / np.linalg.norm([-0.55, 0.45, 0.70])
"""Towards the light: it is on the left, above, and on the camera's side."""


def vase(width: int, height: int) -> NDArray[np.uint8]:
    """Draw the vase in the middle of a picture.

    Returns:
        (height, width, 4) uint8, straight alpha, sRGB.
    """
    tall = _TALL * height
    above = _FOOT * height - np.arange(height)[:, None] - 0.5
    across = np.arange(width)[None, :] + 0.5 - width / 2
    samples, profile = _profile()
    radius = np.interp(above / tall, samples, profile) * tall
    slope = np.interp(above / tall, samples, np.gradient(profile, samples))
    x = np.clip(across / radius, -1, 1)
    front = np.sqrt(1 - x**2)

    alpha = (
        np.clip(radius - np.abs(across) + 0.5, 0, 1)
        * np.clip(above + _ROUND * tall * front + 0.5, 0, 1)
        * np.clip(tall - above + 0.5, 0, 1)
    )
    normal = np.stack(np.broadcast_arrays(x, -slope, front), axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    halfway = _LIGHT + np.array([0.0, 0.0, 1.0])
    diffuse = np.clip(normal @ _LIGHT, 0, 1)[..., None]
    shine = np.clip(normal @ (halfway / np.linalg.norm(halfway)), 0, 1)[..., None] ** 60
    rgb = np.clip(_GLAZE * (0.35 + 0.75 * diffuse) + 0.55 * shine, 0, 1) ** 0.85
    picture = np.concatenate([rgb, alpha[..., None]], axis=-1)
    return np.asarray(np.rint(picture * 255), np.uint8)


def _profile() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Heights from 0 to 1, and the smooth radius at each."""
    heights, radii = (np.array(part) for part in zip(*_PROFILE, strict=True))
    samples = np.linspace(0, 1, 400)
    window = np.hanning(_SMOOTHING)
    edges = np.pad(np.interp(samples, heights, radii), _SMOOTHING // 2, "edge")
    return samples, np.convolve(edges, window / window.sum(), "valid")
