"""What makes a photo hard to cut out, laid on a composite whose true alpha stays known.

Thin parts (straps, loops, laces) that belong to the product, neighbours that do not, blades of
grass before its foot, hard shadows. Pictures are ``(height, width, 3) float32`` from 0 to 255,
alphas ``(height, width) float32`` from 0 to 1.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def with_loops(colour: Floats, alpha: Floats, chance: np.random.Generator) -> tuple[Floats, Floats]:
    """Give a product one to three thin loops of its own colour, which begin and end on it."""
    rows, columns = np.nonzero(alpha > 0.9)
    if not len(rows):
        return colour, alpha
    extent = float(max(np.ptp(rows), np.ptp(columns)))
    thickness = max(1, round(extent * float(chance.choice([0.004, 0.01, 0.02, 0.035]))))
    centre = np.array([columns.mean(), rows.mean()])
    drawn = np.zeros(alpha.shape, np.uint8)
    for _ in range(int(chance.integers(1, 4))):
        chosen = chance.integers(0, len(rows), 2)
        ends = np.stack((columns[chosen], rows[chosen]), axis=1).astype(np.float64)
        outwards = ends.mean(axis=0) - centre
        outwards /= np.linalg.norm(outwards) + 1e-6
        reach = outwards * extent * chance.uniform(0.3, 0.9) + chance.normal(0, 0.1 * extent, 2)
        bent = np.stack((ends[0] + reach, ends[1] + reach))
        t = np.linspace(0, 1, 80)[:, None]
        curve = (
            (1 - t) ** 3 * ends[0]
            + 3 * (1 - t) ** 2 * t * bent[0]
            + 3 * (1 - t) * t**2 * bent[1]
            + t**3 * ends[1]
        )
        points = np.rint(curve * 16).astype(np.int32)[None]
        cv2.polylines(drawn, [*points], False, 255, thickness, cv2.LINE_AA, 4)
    added = drawn.astype(np.float32) / 255
    own = colour[rows[:: max(1, len(rows) // 500)], columns[:: max(1, len(rows) // 500)]]
    tone = own[int(chance.integers(0, len(own)))] * chance.uniform(0.7, 1.2)
    lit = _rounded(drawn, thickness)[..., None]
    share = (added * (1 - alpha))[..., None]
    whole = np.maximum(alpha, added)
    mixed = (colour * alpha[..., None] + np.clip(tone * lit, 0, 255) * share) / np.maximum(
        alpha[..., None] + share, 1e-3
    )
    return mixed.astype(np.float32), whole


def with_neighbour(
    picture: Floats, other: Floats, cover: Floats, chance: np.random.Generator
) -> Floats:
    """Put another thing into the picture, which is not for sale: sharp, and often touching."""
    soft = float(chance.choice([0.0, 0.0, 1.0, 2.5]))
    if soft:
        over: Any = cv2.GaussianBlur(other * cover[..., None], (0, 0), soft)
        share: Any = cv2.GaussianBlur(cover, (0, 0), soft)
    else:
        over, share = other * cover[..., None], cover
    return np.asarray(picture * (1 - share[..., None]) + over, np.float32)


def with_grass(mixed: Floats, alpha: Floats, chance: np.random.Generator) -> tuple[Floats, Floats]:
    """Blades before the product's foot: they hide it, so that it is not there."""
    rows = np.flatnonzero(alpha.max(axis=1) > 0.5)
    columns = np.flatnonzero(alpha.max(axis=0) > 0.5)
    if not len(rows):
        return mixed, alpha
    height, width = alpha.shape
    tall = 0.12 * float(rows[-1] - rows[0] + 1)
    blades = np.zeros((height, width), np.uint8)
    shade = np.zeros((height, width), np.float32)
    for _ in range(int(chance.integers(60, 260))):
        x = chance.uniform(columns[0] - 20, columns[-1] + 20)
        y = rows[-1] + chance.uniform(-0.2, 0.9) * tall
        tip = (x + chance.normal(0, 0.5) * tall, y - chance.uniform(0.4, 1.5) * tall)
        ends = np.rint(np.array([[[x, y], tip]]) * 16).astype(np.int32)
        thick = int(chance.integers(1, 4))
        blade = np.zeros((height, width), np.uint8)
        cv2.polylines(blade, [*ends], False, 255, thick, cv2.LINE_AA, 4)
        blades = np.maximum(blades, blade)
        shade[blade > 0] = chance.uniform(0.6, 1.3)
    share = (blades.astype(np.float32) / 255)[..., None]
    tone = np.array([chance.uniform(60, 120), chance.uniform(90, 150), chance.uniform(30, 70)])
    before = mixed * (1 - share) + np.clip(tone * shade[..., None], 0, 255) * share
    return before.astype(np.float32), (alpha * (1 - share[..., 0])).astype(np.float32)


def lit_from_aside(picture: Floats, alpha: Floats, chance: np.random.Generator) -> Floats:
    """A hard shadow that begins at the product's foot."""
    height, width = alpha.shape
    rows = np.flatnonzero(alpha.max(axis=1) > 0.5)
    base = float(rows[-1]) if len(rows) else height
    shear, flat = chance.uniform(-2, 2), chance.uniform(0.15, 0.7)
    matrix = np.array([[1, -shear * flat, shear * flat * base], [0, flat, base * (1 - flat)]])
    cast = cv2.warpAffine(alpha, matrix.astype(np.float32), (width, height))
    cast = cv2.GaussianBlur(cast, (0, 0), float(chance.choice([0.8, 2, 4])))
    return np.asarray(picture * (1 - chance.uniform(0.4, 0.85) * cast[..., None]), np.float32)


def _rounded(drawn: NDArray[np.uint8], thickness: int) -> Floats:
    """The light on a strap: its middle is lighter than its sides."""
    inner: Any = cv2.distanceTransform((drawn > 127).astype(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(0.8 + 0.35 * np.clip(inner / max(1.0, thickness / 2), 0, 1), np.float32)
