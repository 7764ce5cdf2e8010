"""From a coarse map of where the product is to a clean edge at the photo's own resolution.

A segmentation network answers on a small grid: its edge is a ramp several pixels wide, and the
ramp lies where the network guessed, not where the product ends. Here the photo itself decides:

1. `decide` settles wide areas of the coarse map that are neither product nor ground: a product's
   edge is soft over a few pixels only, so a wide soft area is the network's doubt.
2. `refine` moves the edge to where the colours change (a colour guided filter: He, Sun and Tang,
   "Guided Image Filtering", 2013), sharpens the ramp, and, where product and ground are plainly
   of different colours, solves the mixing equation of each pixel. Where they are alike (white on
   white) the colours say nothing and the network's opinion stands.
3. `drop_specks` removes crumbs that belong to nothing.
4. `edge_colour` takes the ground's colour out of the half-transparent pixels (after Forte and
   Pitié, "Approximate fast foreground colour estimation", 2021), so that no halo shows on another
   ground.

All statistics are taken at a bounded working size and only the pixels of the edge are computed
at full size, so that the work grows far more slowly than the photo.

Pictures are ``(height, width, 3) uint8`` sRGB, alphas ``(height, width) float32`` from 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Floats = NDArray[np.float32]

VERSION = "5"
"""Part of a cut-out's recipe: raised whenever these functions answer otherwise than before."""

OPAQUE = 0.98
"""From this alpha on a pixel keeps the photo's own colour, bit for bit."""

_RAMP_CELLS = 7
"""Wider than this, cells of the network's grid, no edge is soft: there the network is in doubt."""

_DOUBTFUL = (0.1, 0.9)
"""Alphas between are neither product nor ground."""

_DECISION = 6.0
"""How much steeper than the network's opinion alpha passes through a half where it is in doubt."""

_WORKING_SIDE = 1280
"""Longest side of the pictures that statistics are taken of, pixels."""

_COLOUR_SIDE = 640
"""The same for the colours of product and ground, which change slowly along an edge."""

_REACH = 2.0
"""How far from the network's edge the true edge is looked for, pixels of the network's grid."""

_RAMP = (0.3, 0.7)
"""What the guided filter leaves of 0 and 1 beside an edge; stretched to 0 and 1."""

_EXPLAINED = 0.1
"""Share of alpha's variance in a window from which colour is fully trusted to explain it."""

_SURE_PRODUCT, _SURE_GROUND = 0.98, 0.02
"""Opinions of the network that hold without a look at the colours, if all around agrees."""

_STEEPER = 3.0
"""How much steeper the network's ramp is made where colour explains nothing: it is several cells
wide, a product's edge a pixel or two."""

_CONTRAST = (60.0, 200.0)
"""Squared distance of the colours of product and ground, in variances: below the first the
mixing equation is not trusted, above the second alone."""

_NOISE = 0.015
"""Standard deviation of a studio photo's noise (of 1)."""


def wide(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The marked cells of a coarse map that form areas wider than any edge's ramp."""
    ramp = np.ones((_RAMP_CELLS, _RAMP_CELLS), np.uint8)
    areas: NDArray[np.uint8] = np.asarray(
        cv2.morphologyEx(marked.astype(np.uint8), cv2.MORPH_OPEN, ramp), np.uint8
    )
    return areas > 0


def doubtful(coarse: Floats) -> NDArray[np.bool_]:
    """The cells of a coarse map where the network cannot tell product from ground.

    Args:
        coarse: The network's own grid, some 320 cells a side.

    Returns:
        True in wide areas of middling alpha; the narrow ramp of an ordinary edge is none.
    """
    low, high = _DOUBTFUL
    return wide((coarse > low) & (coarse < high))


def decide(coarse: Floats) -> Floats:
    """Make product or ground of wide areas that are neither, whichever they are nearer to.

    Args:
        coarse: As of `doubtful`.

    Returns:
        A new map; the same where nothing is in doubt.
    """
    where = doubtful(coarse)
    if not where.any():
        return coarse
    # Blended in over the ramp around an area, so that no new edge arises at its border.
    around = cv2.dilate(where.astype(np.float32), np.ones((_RAMP_CELLS, _RAMP_CELLS), np.uint8))
    share = cv2.blur(around, (_RAMP_CELLS, _RAMP_CELLS))
    steep = np.clip(_DECISION * (coarse - 0.5) + 0.5, 0, 1)
    decided: Floats = coarse + share * (steep - coarse)
    return decided


def soft_share(alpha: Floats) -> float:
    """How blurred a cut-out is: pixels of middling alpha for each pixel of the outline.

    Args:
        alpha: ``(height, width)``, 0 to 1.

    Returns:
        About 0.5 to 2 for clean edges; from about 4 on, parts of the product are see-through. 0
        where there is no product.
    """
    product = (alpha > 0.5).astype(np.uint8)
    area = cv2.countNonZero(product)
    inner = cv2.erode(product, np.ones((3, 3), np.uint8), borderValue=1)
    low, high = _DOUBTFUL
    soft = np.count_nonzero((alpha > low) & (alpha < high))
    return float(soft / max(area - cv2.countNonZero(inner), 1)) if area else 0.0


def refine(rgb: Rgb, coarse: Floats) -> Floats:
    """Sharpen a coarse alpha at the edges of the photo.

    Args:
        rgb: The photo, or the part of it that the coarse alpha is of.
        coarse: Alpha on a grid of any size over the same view.

    Returns:
        Alpha in the size of `rgb`, exactly 0 and 1 away from the edges.
    """
    height, width = rgb.shape[:2]
    shrink = min(1.0, _WORKING_SIDE / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    picture = _resized(rgb, size).astype(np.float32) / np.float32(255)
    prior = np.clip(_resized(coarse, size), 0, 1)
    cell = float(np.sqrt(size[0] * size[1] / coarse.size))
    radius = max(2, round(_REACH * cell))

    first = np.clip(_LinearModel.fit(picture, prior, radius, 1e-4).apply(picture, prior), 0, 1)
    model = _LinearModel.fit(picture, first, max(2, round(0.75 * radius)), 1e-5)
    sides = _Sides.measure(
        picture, _stretch(model.apply(picture, first)), max(2, round(0.4 * radius))
    )

    band, alpha = _trimap(prior, radius)
    if size == (width, height):
        rows, columns = np.nonzero(band)
    else:
        alpha = _nearest(alpha, (width, height))
        rows, columns = np.nonzero(_nearest(band, (width, height)))
    pixels = rgb[rows, columns].astype(np.float32) / np.float32(255)
    sample = _Sampler(rows, columns, (height, width), (size[1], size[0]))
    at_edge = _LinearModel(sample(model.slope), sample(model.offset), sample(model.doubt))
    ramp = _stretch(at_edge.apply(pixels, sample(first)))
    alpha[rows, columns] = sides.sampled(sample).unmix(pixels, ramp)
    return alpha


def drop_specks(alpha: Floats, smallest: float = 0.002) -> Floats:
    """Zero every separate piece that is too small or too faint to be part of a product.

    Args:
        alpha: As from `refine`.
        smallest: Share of the largest piece below which a piece is a speck.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats((alpha > 0).astype(np.uint8))
    if count <= 2:
        return alpha
    solid = np.bincount(labels[alpha > 0.5], minlength=count)
    solid[0] = 0
    keep = (solid >= max(1.0, smallest * solid.max())) & (stats[:, cv2.CC_STAT_AREA] > 0)
    keep[0] = False
    return np.where(keep[labels], alpha, np.float32(0))


def edge_colour(rgb: Rgb, alpha: Floats) -> Rgb:
    """The product's own colour: the photo without the ground's share in half-transparent pixels.

    Args:
        rgb: The photo.
        alpha: Its alpha.

    Returns:
        A copy of `rgb` with new colours where alpha is above 0 and below `OPAQUE`, and black
        where alpha is 0.
    """
    height, width = alpha.shape
    shrink = min(1.0, _COLOUR_SIDE / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    picture, share = _resized(rgb, size).astype(np.float32), _resized(alpha, size)
    wide = max(3, max(size) // 120)
    product, ground = _mean_colours(picture, picture, share, wide)
    mixed = share[..., None]
    estimate = product + mixed * (picture - mixed * product - (1 - mixed) * ground)
    product, ground = _mean_colours(np.clip(estimate, 0, 255), ground, share, max(2, wide // 3))

    seen = (alpha > 0).view(np.uint8)
    result = np.asarray(cv2.copyTo(np.ascontiguousarray(rgb), seen), np.uint8)
    soft = np.flatnonzero((alpha < OPAQUE).view(np.uint8) & seen)
    rows, columns = np.divmod(soft, width)
    sample = _Sampler(rows, columns, (height, width), (size[1], size[0]))
    own, behind = sample(product), sample(ground)
    mixed = alpha[rows, columns][:, None]
    pixels = rgb[rows, columns].astype(np.float32)
    colours = own + mixed * (pixels - mixed * own - (1 - mixed) * behind)
    result[rows, columns] = np.clip(np.rint(colours), 0, 255).astype(np.uint8)
    return result


@dataclass(frozen=True, slots=True)
class _LinearModel:
    """Alpha at each pixel: ``slope · colour + offset + doubt · guess``."""

    slope: Floats
    offset: Floats
    doubt: Floats

    @classmethod
    def fit(cls, picture: Floats, alpha: Floats, radius: int, smoothness: float) -> _LinearModel:
        """Least squares in every window of `radius`; `smoothness` is the variance of colour below
        which a window counts as flat."""
        mean, mean_alpha = _box(picture, radius), _box(alpha, radius)
        covariance = _box(picture * alpha[..., None], radius) - mean * mean_alpha[..., None]
        pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
        products = np.stack([picture[..., i] * picture[..., j] for i, j in pairs], axis=-1)
        # Four channels at most are quick; the six products go in two halves.
        spread = np.concatenate(
            [_box(products[..., :3], radius), _box(products[..., 3:], radius)], axis=-1
        )
        for index, (i, j) in enumerate(pairs):
            spread[..., index] -= mean[..., i] * mean[..., j]
            if i == j:
                spread[..., index] += smoothness
        slope = _solve(spread, covariance)
        # Where colour explains nothing of alpha, the fit is a mere blur; let the guess be.
        variance = np.maximum(_box(alpha * alpha, radius) - mean_alpha * mean_alpha, 1e-6)
        trust = np.clip(_dot(slope, covariance) / (_EXPLAINED * variance), 0, 1)
        offset = (mean_alpha - _dot(slope, mean)) * trust
        return cls(
            _box(slope * trust[..., None], radius), _box(offset, radius), 1 - _box(trust, radius)
        )

    def apply(self, picture: Floats, guess: Floats) -> Floats:
        steep = np.clip(_STEEPER * (guess - 0.5) + 0.5, 0, 1)
        alpha: Floats = _dot(self.slope, picture) + self.offset + self.doubt * steep
        return alpha


@dataclass(frozen=True, slots=True)
class _Sides:
    """Colours on both sides of the edge: what a pixel of the edge is a mixture of."""

    product: Floats
    ground: Floats
    trust: Floats

    @classmethod
    def measure(cls, picture: Floats, alpha: Floats, radius: int) -> _Sides:
        product, product_spread, product_near = _weighted(picture, alpha > 0.98, radius)
        ground, ground_spread, ground_near = _weighted(picture, alpha < 0.02, radius)
        across = product - ground
        contrast = _dot(across, across) / (product_spread + ground_spread + _NOISE**2)
        low, high = _CONTRAST
        trust = np.clip((contrast - low) / (high - low), 0, 1)
        return cls(product, ground, trust * ((product_near > 0.01) & (ground_near > 0.01)))

    def sampled(self, sample: _Sampler) -> _Sides:
        return _Sides(sample(self.product), sample(self.ground), sample(self.trust))

    def unmix(self, pixels: Floats, alpha: Floats) -> Floats:
        """Alpha that mixes each pixel from the two sides, as far as they can be trusted."""
        across = self.product - self.ground
        share = _dot(pixels - self.ground, across)
        share = np.clip(share / (_dot(across, across) + 1e-6), 0, 1)
        open_pixels = (alpha > 0.004) & (alpha < 0.996)
        mixed: Floats = alpha + self.trust * open_pixels * (share - alpha)
        return mixed


class _Sampler:
    """Reads pictures of the working size at pixels of the full size, bilinearly."""

    def __init__(
        self,
        rows: NDArray[np.intp],
        columns: NDArray[np.intp],
        full: tuple[int, int],
        working: tuple[int, int],
    ) -> None:
        self._count = len(rows)
        self._exact = (rows, columns) if full == working else None
        # OpenCV takes maps of less than 32767 a side: fold the list of points into a sheet.
        pad = -self._count % 1024
        y = (rows + 0.5) * (working[0] / full[0]) - 0.5
        x = (columns + 0.5) * (working[1] / full[1]) - 0.5
        self._y = np.pad(y, (0, pad)).astype(np.float32).reshape(-1, 1024)
        self._x = np.pad(x, (0, pad)).astype(np.float32).reshape(-1, 1024)

    def __call__(self, field: Floats) -> Any:
        if self._exact is not None or self._count == 0:
            return field[self._exact] if self._exact is not None else field[:0, 0]
        sheet = cv2.remap(
            field, self._x, self._y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return sheet.reshape(-1, *field.shape[2:])[: self._count]


def _trimap(prior: Floats, radius: int) -> tuple[NDArray[np.uint8], Floats]:
    """Where the edge is to be looked for, and what holds elsewhere."""
    reach = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    inside = cv2.erode(prior, reach) > _SURE_PRODUCT
    outside = cv2.dilate(prior, reach) < _SURE_GROUND
    return (~(inside | outside)).astype(np.uint8), inside.astype(np.float32)


def _mean_colours(
    product: Floats, ground: Floats, alpha: Floats, radius: int
) -> tuple[Floats, Floats]:
    """Mean colour of product and of ground around each pixel, weighted by alpha and its rest."""
    mixed = alpha[..., None]
    near = _smooth(alpha, radius)[..., None]
    mean_product = _smooth(product * mixed, radius) / (near + 1e-4)
    mean_ground = _smooth(ground * (1 - mixed), radius) / (1 - near + 1e-4)
    return mean_product, mean_ground


def _weighted(
    picture: Floats, where: NDArray[np.bool_], radius: int
) -> tuple[Floats, Floats, Floats]:
    """Mean colour, variance (mean of the channels) and share of the chosen pixels around each."""
    chosen = where.astype(np.float32)
    near = _smooth(chosen, radius)
    weight = near + 1e-4
    mean = _smooth(picture * chosen[..., None], radius) / weight[..., None]
    square = _smooth(_dot(picture, picture) * chosen, radius) / weight
    return mean, np.maximum(square - _dot(mean, mean), 0) / 3, near


def _solve(spread: Floats, right: Floats) -> Floats:
    """Solve a symmetric 3 × 3 system at each pixel by cofactors; `spread` is the upper triangle."""
    # Beside black on white the spread is all along one line, and its determinant a difference of
    # numbers a million times as large: more than single precision holds.
    a, b, c, d, e, f = (spread[..., i].astype(np.float64) for i in range(6))
    x, y, z = (right[..., i] for i in range(3))
    aa, ab, ac = d * f - e * e, c * e - b * f, b * e - c * d
    bb, bc, cc = a * f - c * c, b * c - a * e, a * d - b * b
    determinant = a * aa + b * ab + c * ac
    solved = np.stack(
        [aa * x + ab * y + ac * z, ab * x + bb * y + bc * z, ac * x + bc * y + cc * z], axis=-1
    )
    answer: Floats = (solved / determinant[..., None]).astype(np.float32)
    return answer


def _dot(left: Floats, right: Floats) -> Any:
    """Scalar product of the colours at each pixel."""
    return np.einsum("...i,...i->...", left, right)


def _stretch(alpha: Floats) -> Floats:
    low, high = _RAMP
    stretched: Floats = np.clip((alpha - low) / (high - low), 0, 1)
    return stretched


def _box(field: Floats, radius: int) -> Any:
    side = 2 * radius + 1
    return cv2.boxFilter(field, -1, (side, side), borderType=cv2.BORDER_REFLECT)


def _smooth(field: Floats, radius: int) -> Any:
    """Two box filters of half the reach each: near enough to a Gaussian, at any radius as fast."""
    return _box(_box(field, radius), radius)


def _resized(field: Any, size: tuple[int, int]) -> Any:
    if (field.shape[1], field.shape[0]) == size:
        return field
    shrinks = size[0] * size[1] < field.shape[0] * field.shape[1]
    return cv2.resize(field, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _nearest(field: Any, size: tuple[int, int]) -> Any:
    return cv2.resize(field, size, interpolation=cv2.INTER_NEAREST)
