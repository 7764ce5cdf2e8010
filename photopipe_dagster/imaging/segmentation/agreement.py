"""Several looks at a product made one: by agreement, so that no single look decides.

Each cell of the map gets the middle one of the looks' values: what one look alone adds (a prop, a
shadow) is not there, and what one alone misses (a white sole on white) is. No union: joining what
each look saw brings in what only one of them takes for product.

Where the looks contradict each other, the photo is asked too: a cell there that has the colour of
the plain ground around it, and not that of the product, is an opening and not product. Colour is
never a reason to add: things beside a product are as unlike the ground as the product is.

Maps are ``(320, 320) float32`` from 0 to 1 over the same part of the photo.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.imaging.colour import lab
from photopipe_dagster.imaging.matting import Floats, Rgb

_CONTRADICTION = 0.4
"""Difference of two looks from which they contradict each other."""

_SURE_PRODUCT, _SURE_GROUND = 0.9, 0.1
"""What every look must say for a cell's colour to count as the product's or the ground's."""

_REACH = 36
"""How far away the colours of ground and product are taken, cells."""

_PLAIN = 8.0
"""Standard deviation of the ground's lightness (CIE L*) around a cell up to which it is plain."""

_NEAR = 0.02
"""Share of the cells around that must be ground for its colour to be known."""

_NOISE = 4.0
"""Variance of each of L*, a*, b* within what is of one colour."""

_LIKE_GROUND = 6.0
"""Squared distance from the ground's colour, in variances, up to which a cell is like it."""

_UNLIKE_PRODUCT = 4.0
"""How many times as far away from the product's colour (squared) such a cell must be."""

_OTHER = 0.1
"""Squared distance, in variances, below which a cell is of the product's colour anyway."""

_OPENED = 0.8
"""What an opening takes off the map."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What several looks say together.

    Args:
        map: The map they agree on.
        disagreement: Area where a look contradicts another, share of the product's area: 0 where
            they all say the same; on an ordinary edge about 0.02.
        ground_share: Share of the product's cells that are of the ground's colour and not of the
            product's, 0 to 1. It is 0 before a ground that is not plain.
    """

    map: Floats
    disagreement: float
    ground_share: float


@dataclass(frozen=True, slots=True)
class Doubts:
    """How unsure the first three looks are, which are taken of every photo.

    Args:
        spread: Sum of their standard deviations, share of the product's area: 0 where all say the
            same.
        inside: What they miss of 1 well inside the product, mean of its cells, 0 to 1.
        outside: What they still see well outside of it, summed, share of the product's area.
    """

    spread: float
    inside: float
    outside: float


def doubts(looks: list[Floats], agreed_map: Floats) -> Doubts:
    """Measure them.

    Args:
        looks: Of the same part of the photo as the map.
        agreed_map: What was made of them.
    """
    seen = np.stack(looks[:3])
    product = (agreed_map > 0.5).astype(np.uint8)
    area = max(1, int(product.sum()))
    core = cv2.erode(product, np.ones((9, 9), np.uint8)) > 0
    away = cv2.dilate(product, np.ones((11, 11), np.uint8)) == 0
    mean = seen.mean(axis=0)
    return Doubts(
        float(seen.std(axis=0).sum()) / area,
        float(1 - mean[core].mean()) if core.any() else 1.0,
        float(mean[away].sum()) / area,
    )


def agreed(looks: list[Floats], rgb: Rgb) -> Agreement:
    """Make one map of several looks.

    Args:
        looks: At least one map; three or more can outvote one.
        rgb: The part of the photo that they are of, any size.
    """
    seen = np.stack(looks)
    middle = np.median(seen, axis=0).astype(np.float32)
    low, high = seen.min(axis=0), seen.max(axis=0)
    disputed = (high - low) > _CONTRADICTION
    ground = _of_ground(rgb, low > _SURE_PRODUCT, high < _SURE_GROUND)
    tested = cv2.dilate(disputed.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    opening = np.asarray(cv2.blur(ground.astype(np.float32), (3, 3)), np.float32)
    opened = np.where(tested, np.maximum(middle - _OPENED * opening, 0), middle)
    product = opened > 0.5
    area = max(1, int(product.sum()))
    return Agreement(
        opened.astype(np.float32),
        float(np.count_nonzero(disputed)) / area,
        float(np.count_nonzero(product & ground)) / area,
    )


def _of_ground(
    rgb: Rgb, product: NDArray[np.bool_], ground: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """The cells of the colour of the plain ground around them, and not of the product's."""
    small = cv2.resize(rgb, product.shape[::-1], interpolation=cv2.INTER_AREA)
    colours = lab(np.asarray(small, np.uint8))
    usual, spread, near = _around(colours, ground)
    from_ground = ((colours - usual) ** 2 / (spread + _NOISE)).sum(axis=-1)
    own, own_spread, _ = _around(colours, product)
    from_product = ((colours - own) ** 2 / (own_spread + _NOISE)).sum(axis=-1)
    plain = (np.sqrt(spread[..., 0]) < _PLAIN) & (near > _NEAR)
    unlike = from_product > np.maximum(_UNLIKE_PRODUCT * from_ground, _OTHER)
    like = (from_ground < _LIKE_GROUND) & unlike
    return np.asarray(plain & like, np.bool_)


def _around(colours: Floats, where: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Mean and variance of the chosen cells' colours around each cell, and their share of all."""
    weight = where.astype(np.float32)
    near = _smooth(weight)
    total = (near + np.float32(1e-4))[..., None]
    mean = _smooth(colours * weight[..., None]) / total
    square = _smooth(colours * colours * weight[..., None]) / total
    return mean, np.maximum(square - mean * mean, 0), near


def _smooth(field: Floats) -> Floats:
    side = (2 * _REACH + 1, 2 * _REACH + 1)
    once = cv2.blur(field, side, borderType=cv2.BORDER_REFLECT)
    return np.asarray(cv2.blur(once, side, borderType=cv2.BORDER_REFLECT), np.float32)
