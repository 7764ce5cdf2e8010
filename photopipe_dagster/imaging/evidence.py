"""What a photo says for and against a cut-out, in numbers that a risk can be told from.

Everything is measured on a grid on which the product is of one size, whatever the photo's: a torn
corner is as bad on a small product as on a large one. Of regions the largest counts, not the mean:
one torn place in a good outline spoils a picture.

No network is asked here, so that any provider's cut-out can be judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.imaging.measures import View, sides_touched

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_EXTENT = 256
"""The product's longer side on the grid, cells."""

_MARGIN = 64
"""Ground that is looked at around it, cells."""

_COLOURS = 20
"""Kinds of colour that a photo is thought of as having."""

_REACH = 14
"""How far away the colours of ground and product are counted, cells of half the size."""

_COARSE = 2
"""Cells of half the size of a side of the blocks that they are counted by."""

_AS_LIKELY = 3.0
"""How many times as likely a colour must be on the other side of the outline to count as there."""

_COMMON = 0.02
"""Share that a colour must have on that other side."""

_RIM = 2
"""Cells on both sides of the outline whose colours are mixed."""

_UNSEEN = 0.6
"""Difference of colour (CIE Lab) across the outline below which it may as well be noise, where the
ground is without any."""

_BESIDE = 12
"""How far outside the outline the ground's own changes are measured, cells."""

_ALONG = 9
"""Stretch of the outline over which a change is averaged: an edge goes on, and noise does not."""

_INSIDE, _OUTSIDE = 2, 3
"""Where its two colours are read: distances from the outline, cells."""

_STRAY = (0.002, 0.1)
"""Shares of the product between which a piece of its own is torn off, and neither a second product
nor a speck."""

_THIN = 6
"""What is no wider than twice so many cells is thin."""

_SLOPE = 5.0
"""Change of colour (CIE Lab a cell) from which the ground has an edge."""

_LIKE = (1.5, 8.0)
"""Difference of colour (CIE Lab) from the ground's surface up to which the product is like it: on
the evenest ground, and on any."""

_OTHER = 4.0
"""Difference of colour (CIE Lab) from an even ground that is none of its own."""

_SHARP = 3.0
"""Change of colour (CIE Lab a cell of half the size) that a soft shadow does not have."""


@dataclass(frozen=True, slots=True)
class Region:
    """A place of the photo that speaks against the cut-out.

    Args:
        kind: ``ground inside``, ``product outside`` or ``no edge``.
        share: Its area, share of the product's; of ``no edge`` its length, share of the outline's.
        box: Left, top, right and bottom, shares of the photo's width and height, 0 to 1.
    """

    kind: str
    share: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was measured.

    Args:
        numbers: By name; see `measure_evidence`.
        regions: The largest place of each kind, where there is one.
        product: The product's box in the photo, as a region's.
    """

    numbers: dict[str, float] = field(default_factory=dict)
    regions: tuple[Region, ...] = ()
    product: tuple[float, float, float, float] | None = None


def measure_evidence(view: View) -> Evidence:
    """Look at a cut-out and its photo.

    Args:
        view: Both at the working size.

    Returns:
        Numbers, mostly shares of the product's area or of its outline's length; nothing where the
        cut-out is empty.
    """
    grid = _Grid.of(view)
    if grid is None:
        return Evidence()
    numbers: dict[str, float] = {"sides": sum(sides_touched(view.alpha))}
    regions: list[Region] = []
    _outline(grid, numbers, regions)
    _shape(grid, numbers, regions)
    half = grid.halved()
    ground = _Ground.of(half)
    _colours(half, ground, numbers, regions)
    _ground(half, ground, numbers, regions)
    return Evidence(
        {name: float(value) for name, value in numbers.items()},
        tuple(regions),
        grid.region("product", grid.product, 1.0).box,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """Photo and alpha around the product, scaled."""

    colours: Floats
    alpha: Floats
    product: Mask
    photo: Floats
    """Left, top, right, bottom of this part, shares of the photo."""

    @property
    def area(self) -> int:
        return int(np.count_nonzero(self.product))

    @classmethod
    def of(cls, view: View) -> _Grid | None:
        solid = (view.alpha >= 128).astype(np.uint8)
        left, top, width, height = cv2.boundingRect(solid)
        if not width:
            return None
        scale = _EXTENT / max(width, height)
        margin = round(_MARGIN / scale)
        rows = slice(max(0, top - margin), min(view.alpha.shape[0], top + height + margin))
        columns = slice(max(0, left - margin), min(view.alpha.shape[1], left + width + margin))
        size = (
            max(8, round((columns.stop - columns.start) * scale)),
            max(8, round((rows.stop - rows.start) * scale)),
        )
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        rgb = np.asarray(cv2.resize(view.photo[rows, columns], size, interpolation=how), np.uint8)
        alpha = cv2.resize(view.alpha[rows, columns], size, interpolation=how)
        shares = np.asarray(alpha, np.float32) / np.float32(255)
        full_height, full_width = view.alpha.shape
        place = np.array(
            [
                columns.start / full_width,
                rows.start / full_height,
                columns.stop / full_width,
                rows.stop / full_height,
            ],
            np.float32,
        )
        # OpenCV's L*a*b*: a hundredth away from `colour.lab`, in a tenth of the time.
        colours = cv2.cvtColor(rgb.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2Lab)
        return cls(np.asarray(colours, np.float32), shares, shares > 0.5, place)

    def halved(self) -> _Grid:
        """The same on half as many cells across and down, for what needs no fine outline."""
        height, width = self.product.shape
        size = (max(8, width // 2), max(8, height // 2))
        colours, alpha = (
            np.asarray(cv2.resize(each, size, interpolation=cv2.INTER_AREA), np.float32)
            for each in (self.colours, self.alpha)
        )
        return _Grid(colours, alpha, alpha > 0.5, self.photo)

    def region(self, kind: str, marked: Mask, share: float) -> Region:
        """Where that is in the photo."""
        x, y, width, height = cv2.boundingRect(marked.astype(np.uint8))
        left, top, right, bottom = (float(side) for side in self.photo)
        across, down = (right - left) / marked.shape[1], (bottom - top) / marked.shape[0]
        box = (
            left + x * across,
            top + y * down,
            left + (x + width) * across,
            top + (y + height) * down,
        )
        return Region(kind, share, box)


def _colours(
    grid: _Grid, ground: _Ground | None, numbers: dict[str, float], regions: list[Region]
) -> None:
    """Where the ground's colours are inside, and the product's outside beside it."""
    if not grid.area:
        numbers.update(ground_inside_share=0.0, product_outside_share=0.0, alike=1.0)
        return
    inside = _eroded(grid.product, 1)
    outside = ~_dilated(grid.alpha > 0.1, 2)
    kinds = colour_kinds(grid.colours)
    of_ground, all_ground, on_ground = _shares(kinds, outside)
    of_product, all_product, on_product = _shares(kinds, inside)
    # A large wrong place has all of its surroundings for it: there the whole picture tells.
    common_ground = on_ground > np.maximum(_COMMON, _AS_LIKELY * on_product)
    common_product = on_product > np.maximum(_COMMON, _AS_LIKELY * on_ground)
    locally = (of_ground > np.maximum(_COMMON, _AS_LIKELY * of_product)) & (all_ground > 0.02)
    like_ground = inside & (locally | common_ground[kinds])
    if ground is not None:  # kinds are coarse: white is not yet white paper
        like_ground &= ground.fits
    locally = (of_product > np.maximum(_COMMON, _AS_LIKELY * of_ground)) & (all_product > 0.02)
    like_product = outside & (locally | common_product[kinds])
    near = _dilated(grid.product, 20)
    for name, marked in (
        ("ground_inside", like_ground),
        ("product_outside", like_product & near),
    ):
        numbers[f"{name}_share"] = np.count_nonzero(marked) / grid.area
        largest = _largest(_opened(marked, 1))
        share = np.count_nonzero(largest) / grid.area
        if share > 0:
            regions.append(grid.region(name.replace("_", " "), largest, share))
    sides = np.log((of_ground + 0.01) / (of_product + 0.01)) > -1
    if ground is not None:
        sides &= ground.fits
    known = inside & (all_ground > 0.02)
    numbers["alike"] = float(sides[known].mean()) if known.any() else 1.0


def _shares(kinds: NDArray[np.int32], side: Mask) -> tuple[Floats, Floats, Floats]:
    """How common each cell's own kind is among one side's cells around it, how many of the cells
    around it are of that side, and how common each kind is on all of that side; shares, 0 to 1.
    """
    height, width = kinds.shape
    rows, columns = -(-height // _COARSE), -(-width // _COARSE)
    y, x = np.nonzero(side)
    block = (y // _COARSE) * columns + x // _COARSE
    counts = np.bincount(block * _COLOURS + kinds[y, x], minlength=rows * columns * _COLOURS)
    shaped = counts.reshape(rows, columns, _COLOURS).astype(np.float32) / _COARSE**2
    around = (2 * (_REACH // _COARSE) + 1,) * 2
    near = np.dstack([cv2.blur(shaped[..., kind], around) for kind in range(_COLOURS)])
    total = near.sum(axis=-1)
    down, across = np.arange(height) // _COARSE, np.arange(width) // _COARSE
    own = near[down[:, None], across[None], kinds] / (total[down][:, across] + np.float32(1e-3))
    whole = counts.reshape(-1, _COLOURS).sum(axis=0) / max(1, len(y))
    return own, total[down][:, across], np.asarray(whole, np.float32)


def colour_kinds(colours: Floats) -> NDArray[np.int32]:
    """Each cell's kind of colour and texture; the kinds are found in the picture itself."""
    lightness = colours[..., 0]
    mean = cv2.blur(lightness, (5, 5))
    rough = np.sqrt(np.maximum(cv2.blur(lightness * lightness, (5, 5)) - mean * mean, 0))
    smooth = cv2.blur(colours, (3, 3))
    kept = np.dstack((smooth[..., 0] * 0.7, smooth[..., 1:], np.minimum(rough, 15)))
    flat = np.ascontiguousarray(kept.reshape(-1, 4), np.float32)
    some = flat[:: max(1, len(flat) // 2000)]
    cv2.setRNGSeed(1)
    stop = (cv2.TERM_CRITERIA_MAX_ITER, 8, 0.1)
    _, _, centres = cv2.kmeans(some, _COLOURS, None, stop, 1, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    away = _product(flat, -2 * centres.T) + (centres * centres).sum(1)
    return np.asarray(away.argmin(axis=1).reshape(colours.shape[:2]), np.int32)


def _outline(grid: _Grid, numbers: dict[str, float], regions: list[Region]) -> None:
    """Does colour change across the outline, and more than it does in the ground beside it?"""
    signed = _signed_distance(grid.product)
    across = cv2.Sobel(signed, cv2.CV_32F, 1, 0, ksize=5)
    down = cv2.Sobel(signed, cv2.CV_32F, 0, 1, ksize=5)
    length = np.hypot(across, down) + 1e-6
    inner = np.zeros(signed.shape, np.bool_)
    inner[2:-2, 2:-2] = True
    on = (signed > 0) & (signed <= 1.5) & inner
    if not on.any():
        numbers["unseen"] = 1.0
        return
    smooth = np.asarray(cv2.GaussianBlur(grid.colours, (0, 0), 1.2), np.float32)
    limits = np.array(on.shape) - 1

    def change(here: Mask) -> Floats:
        """Colour a little inside less colour a little outside, of each cell."""
        places = np.argwhere(here)
        normals = np.column_stack((down[here], across[here])) / length[here][:, None]
        ends = []
        for distance in (_INSIDE, -_OUTSIDE):
            at = np.rint(places + distance * normals).astype(np.intp)
            y, x = np.clip(at, 0, limits).T
            ends.append(smooth[y, x])
        return np.asarray(ends[0] - ends[1], np.float32)

    beside = (signed < -_BESIDE + 0.5) & (signed >= -_BESIDE - 1) & inner
    noise = np.median(_averaged(change(beside), beside)) if beside.any() else 0.0
    seen = _averaged(change(on), on)
    hidden = seen < max(_UNSEEN, 2 * float(noise))
    numbers["unseen"] = float(hidden.mean())
    marked = np.zeros(on.shape, np.bool_)
    marked[on] = hidden
    # Single points are noise; where most of a stretch is faint, the stretch is.
    most = cv2.blur(marked.astype(np.float32), (15, 15)) > 0.6 * cv2.blur(
        on.astype(np.float32), (15, 15)
    )
    stretch = _largest(most & on, reach=2)
    if stretch.any():
        regions.append(grid.region("no edge", stretch, np.count_nonzero(stretch) / on.sum()))


def _averaged(changes: Floats, on: Mask) -> Floats:
    """How large a change is, averaged over a stretch of the line that it is measured on."""
    field = np.zeros((*on.shape, 3), np.float32)
    field[on] = changes
    around = (_ALONG, _ALONG)
    total = cv2.blur(field, around)[on] / cv2.blur(on.astype(np.float32), around)[on][:, None]
    return np.asarray(np.linalg.norm(total, axis=1), np.float32)


def _shape(grid: _Grid, numbers: dict[str, float], regions: list[Region]) -> None:
    """Thin parts, and pieces that are torn off."""
    del regions
    numbers["thin"] = np.count_nonzero(grid.product & ~_opened(grid.product, _THIN)) / grid.area
    _, labels = cv2.connectedComponents(grid.product.astype(np.uint8))
    areas = np.bincount(labels.ravel())[1:] / grid.area
    numbers["stray"] = float(((areas > _STRAY[0]) & (areas < _STRAY[1])).any())


@dataclass(frozen=True, slots=True, eq=False)
class _Ground:
    """The ground around a product, as a surface of the second degree: its light may fall off.

    Args:
        where: Its cells.
        away: How far each cell of the grid is from the surface, CIE Lab.
        uneven: How far the ground's own cells are; four in five are nearer.
        like: Cells that are of its colour.
    """

    where: Mask
    away: Floats
    uneven: float
    like: Mask

    @property
    def fits(self) -> Mask:
        """Cells that may be ground: any, where its colours are many."""
        return self.like if 3 * self.uneven < _LIKE[1] else np.ones_like(self.like)

    @classmethod
    def of(cls, grid: _Grid) -> _Ground | None:
        """``None`` where too little of it is to be seen, or of the product."""
        where = ~_dilated(grid.alpha > 0.05, 2)
        if np.count_nonzero(where) < 60:
            where = ~_dilated(grid.product, 1)
        if np.count_nonzero(where) < 20 or not grid.area:
            return None
        height, width = where.shape
        y, x = (axis.astype(np.float32) for axis in np.mgrid[:height, :width])
        y, x = y / height - 0.5, x / width - 0.5
        surface = np.stack((np.ones_like(x), x, y, x * x, x * y, y * y), axis=-1)
        places = tuple(np.argwhere(where)[:: max(1, np.count_nonzero(where) // 2000)].T)
        rows, seen = surface[places], grid.colours[places]
        kept = np.ones(len(rows), np.bool_)
        for _ in range(4):  # what stands on it is left out
            some = rows[kept].T
            squares = _product(some, some.T) + 1e-3 * np.eye(len(some), dtype=np.float32)
            found = np.linalg.solve(squares, _product(some, seen[kept]))
            off = np.linalg.norm(seen - _product(rows, found), axis=1)
            near = off <= 4 * np.median(off[kept]) + 0.5
            if np.count_nonzero(near) < 12:
                break
            kept = near
        fitted = _product(surface.reshape(-1, surface.shape[-1]), found)
        away = np.asarray(grid.colours - fitted.reshape(grid.colours.shape), np.float32)
        uneven = float(np.percentile(off, 80))
        like = np.linalg.norm(away, axis=-1) < min(_LIKE[1], max(_LIKE[0], 3 * uneven))
        return cls(where, away, uneven, like)


def _ground(
    grid: _Grid, ground: _Ground | None, numbers: dict[str, float], regions: list[Region]
) -> None:
    """How busy and rough the ground around the product is, how like it the product, and what an
    even one does not explain.
    """
    if ground is None:
        numbers.update(busy=1.0, rough=10.0, like_ground=0.0, uneven=30.0, missed=0.0)
        return
    slopes = _slopes(grid.colours)
    numbers["busy"] = float((slopes[ground.where] > _SLOPE).mean())
    lightness = grid.colours[..., 0]
    mean = cv2.blur(lightness, (3, 3))
    rough = np.sqrt(np.maximum(cv2.blur(lightness * lightness, (3, 3)) - mean * mean, 0))
    numbers["rough"] = float(np.median(rough[ground.where]))
    numbers["uneven"] = ground.uneven
    like = ground.like[_eroded(grid.product, 2)]
    numbers["like_ground"] = float(like.mean()) if like.size else 1.0
    numbers["missed"] = 0.0
    if ground.uneven > _OTHER:
        return
    limit = max(_OTHER, 3 * ground.uneven)
    light, tint = ground.away[..., 0], np.hypot(ground.away[..., 1], ground.away[..., 2])
    # What is only darker, and has no sharp edge, is a shadow.
    other = (light > limit) | ((light < -limit) & _dilated(slopes > _SHARP, 3))
    other |= (tint > limit) & (tint > 0.35 * np.abs(light))
    missed = _opened(other & ~_dilated(grid.product, 2), 1)
    numbers["missed"] = np.count_nonzero(missed) / grid.area
    if missed.any():
        largest = _largest(missed)
        share = np.count_nonzero(largest) / grid.area
        regions.append(grid.region("product outside", largest, share))


def _slopes(colours: Floats) -> Floats:
    """How steeply colour changes, CIE Lab a cell."""
    smooth = cv2.GaussianBlur(colours, (0, 0), 0.8)
    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3) / 8
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3) / 8
    return np.asarray(np.sqrt((across * across + down * down).sum(axis=-1)), np.float32)


def _product(first: Floats, second: Floats) -> Floats:
    """Product of two matrices; numpy's would wake threads that spin for longer than it takes."""
    left, right = (np.ascontiguousarray(each, np.float32) for each in (first, second))
    return np.asarray(cv2.gemm(left, right, 1, None, 0), np.float32)  # type: ignore[call-overload]


def _signed_distance(product: Mask) -> Floats:
    """Cells from the outline, positive inside; smoothed, so that it has a direction."""
    solid = product.astype(np.uint8)
    inner = cv2.distanceTransform(solid, cv2.DIST_L2, 3)
    outer = cv2.distanceTransform(1 - solid, cv2.DIST_L2, 3)
    return np.asarray(inner - outer, np.float32)


def _ellipse(radius: int) -> Any:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)


def _eroded(marked: Mask, radius: int) -> Mask:
    return np.asarray(cv2.erode(marked.astype(np.uint8), _ellipse(radius)) > 0, np.bool_)


def _dilated(marked: Mask, radius: int) -> Mask:
    return np.asarray(cv2.dilate(marked.astype(np.uint8), _ellipse(radius)) > 0, np.bool_)


def _opened(marked: Mask, radius: int) -> Mask:
    grown = cv2.morphologyEx(marked.astype(np.uint8), cv2.MORPH_OPEN, _ellipse(radius))
    return np.asarray(grown > 0, np.bool_)


def _largest(marked: Mask, reach: int = 0) -> Mask:
    """The largest connected place; what is no farther apart than twice `reach` is connected."""
    grown = _dilated(marked, reach) if reach else marked
    count, labels = cv2.connectedComponents(grown.astype(np.uint8))
    if count < 2:
        return np.zeros(marked.shape, np.bool_)
    areas = np.bincount((labels * marked).ravel(), minlength=count)
    areas[0] = 0
    return np.asarray((labels == areas.argmax()) & marked, np.bool_)
