"""What a lens does to light: depth of field, discs of confusion, veiling glare."""

from __future__ import annotations

import cv2
import numpy as np

from photopipe_dagster.providers.local.scenes.frame import Floats, Frame
from photopipe_dagster.providers.local.scenes.noise import smoothstep


def disc_kernel(radius: float, rim: float = 0.25) -> Floats:
    """The picture of an unfocused point: a disc with an anti-aliased, slightly brighter edge.

    Args:
        radius: Pixels.
        rim: How much brighter the edge is than the middle (spherical aberration).
    """
    reach = int(np.ceil(radius)) + 1
    axis = np.arange(-reach, reach + 1, dtype=np.float32)
    distance: Floats = np.hypot(axis[:, None], axis[None, :])
    disc = np.clip(radius + 0.5 - distance, 0, 1)
    disc *= 1 + rim * smoothstep(0.55, 1.0, distance / np.float32(radius))
    return np.asarray(disc / disc.sum(), dtype=np.float32)


def disc_blur(image: Floats, radius: float, rim: float = 0.25) -> Floats:
    """The picture of a plane out of focus by a disc of `radius` pixels."""
    if radius < 0.5:
        return image
    kernel = disc_kernel(radius, rim)
    return np.asarray(
        cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT), dtype=np.float32
    )


def row_blur(image: Floats, radius: Floats) -> Floats:
    """Blur each row by its own radius, as depth of field does on a table.

    Args:
        image: (rows, columns, 3) float32.
        radius: (rows,) pixels.

    Returns:
        A new picture. Between four fixed blurs it is interpolated.
    """
    largest = float(radius.max())
    if largest < 0.5:
        return image
    steps = np.array([0.0, 0.2, 0.5, 1.0], dtype=np.float32) * np.float32(largest)
    result = np.zeros_like(image)
    for index, step in enumerate(steps):
        weights = np.interp(radius, steps, np.eye(len(steps), dtype=np.float32)[index])
        rows = np.flatnonzero(weights)
        if rows.size == 0:
            continue
        first, last = int(rows[0]), int(rows[-1]) + 1
        margin = int(3 * step) + 1
        above, below = max(0, first - margin), min(len(image), last + margin)
        blurred = soft_blur(image[above:below], float(step))[first - above : last - above]
        result[first:last] += blurred * weights[first:last, None, None].astype(np.float32)
    return result


def soft_blur(image: Floats, radius: float) -> Floats:
    """A Gaussian of the same spread as a disc of `radius` pixels."""
    if radius < 0.3:
        return image
    # A disc of radius r has a standard deviation of r/2 along each axis.
    return np.asarray(cv2.GaussianBlur(image, (0, 0), radius / 2), dtype=np.float32)


def enlarge(image: Floats, frame: Frame) -> Floats:
    """Bring a layer that was rendered small to the size of the frame."""
    if image.shape[:2] == (frame.height, frame.width):
        return image
    size = (frame.width, frame.height)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def add_glare(image: Floats, frame: Frame, strength: float, threshold: float = 0.0) -> None:
    """Veiling glare, in place: bright light spreads over its surroundings inside the lens.

    Args:
        image: Linear light, (height, width, 3).
        frame: Its frame.
        strength: Fraction of the light that is spread.
        threshold: Only light above it is spread: a glow about highlights.
    """
    small = frame.limited(160)
    light = cv2.resize(image, (small.width, small.height), interpolation=cv2.INTER_AREA)
    light = np.maximum(light - np.float32(threshold), 0)
    halo = cv2.GaussianBlur(light, (0, 0), 0.02 * small.unit)
    halo += cv2.GaussianBlur(light, (0, 0), 0.08 * small.unit)
    image *= np.float32(1 - strength)
    image += enlarge(np.asarray(halo, dtype=np.float32) * np.float32(strength / 2), frame)


def vignette(frame: Frame, strength: float) -> Floats:
    """Light lost towards the corners: (height, width, 1), 1 in the middle.

    Args:
        frame: The picture's frame.
        strength: Fraction lost in the corners. Follows the fourth power of the cosine of the
            angle, for a lens whose corner loses that much.
    """
    x = np.linspace(-1, 1, frame.width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, frame.height, dtype=np.float32)[:, None]
    tangent = (1 / (1 - strength)) ** 0.5 - 1
    return np.asarray((1 + np.float32(tangent) * (x * x + y * y) / 2) ** -2, dtype=np.float32)[
        ..., None
    ]
