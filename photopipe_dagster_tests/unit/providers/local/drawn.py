"""Drawn product photos whose alpha is known."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = 600


def studio(level: int = 235, size: int = SIZE) -> NDArray[np.float32]:
    """A ground that darkens to the floor and the corners, with a camera's noise."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    ground = level - 18 * y - 20 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)
    noise = np.random.default_rng(7).normal(0, 2, (size, size, 3))
    return (ground[..., None] + noise).astype(np.float32)


def shape(draw: Callable[[NDArray[np.uint8], int], None], size: int = SIZE) -> NDArray[np.float32]:
    """Alpha of what `draw` paints with 255 at four times the size: a soft edge of one pixel."""
    large = np.zeros((size * 4, size * 4), np.uint8)
    draw(large, size * 4)
    small = cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255


def mug(canvas: NDArray[np.uint8], size: int) -> None:
    """A body and a handle with a hole."""
    cv2.ellipse(canvas, _at(size, 0.66, 0.5), _at(size, 0.13, 0.15), 0, 0, 360, 255, size // 28)
    cv2.rectangle(canvas, _at(size, 0.3, 0.27), _at(size, 0.66, 0.73), 255, -1)


def ring(canvas: NDArray[np.uint8], size: int) -> None:
    cv2.circle(canvas, _at(size, 0.5, 0.5), size // 4, 255, size // 16)


def photo(
    alpha: NDArray[np.float32],
    colour: tuple[int, int, int],
    ground: NDArray[np.float32],
    *,
    shadow: bool = False,
) -> NDArray[np.uint8]:
    """A shaded product of one colour on a ground."""
    size = len(alpha)
    if shadow:
        dark = np.zeros((size, size), np.float32)
        cv2.ellipse(dark, _at(size, 0.5, 0.86), _at(size, 0.2, 0.02), 0, 0, 360, 1, -1)
        ground = ground * (1 - 0.4 * cv2.GaussianBlur(dark, (0, 0), size / 60))[..., None]
    light = np.linspace(1.05, 0.8, size, dtype=np.float32)[None, :, None]
    product = np.array(colour, np.float32) * light
    mixed = product * alpha[..., None] + ground * (1 - alpha[..., None])
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def jpeg(rgb: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def iou(alpha: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    product, expected = alpha > 0.5, truth > 0.5
    return float((product & expected).sum() / (product | expected).sum())


def _at(size: int, x: float, y: float) -> tuple[int, int]:
    return round(size * x), round(size * y)
