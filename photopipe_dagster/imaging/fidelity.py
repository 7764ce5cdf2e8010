"""Proof that the product in a picture is the product of the photo: colours, structure and edges.

Compared is under the mask alone, where the cut-out is opaque. Some tiles spread over the product
tell as much as all of it, and what they cost is bounded whatever the size of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.imaging.colour import delta_e, lab

_TILE = 32
"""Pixels of a tile's side."""

_TILES = 40
"""Tiles that are looked at, at most."""

_BLOCK = 8
"""Pixels of a block's side, for the structural similarity."""

_EDGE = 24.0
"""Change of luminance from a pixel to the next but one from which there is an edge; of 255."""


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How like the original the product is.

    Args:
        median: Colour difference of the median pixel, ΔE2000; below 1 nobody sees.
        p99: Of the 99th percentile.
        structure: Mean structural similarity of the luminance, 1 for the same (Wang et al.,
            2004, in blocks of 8 × 8).
        edges: How well edges coincide, 1 for at the same places and equally strong.
        pixels: How many were compared.
    """

    median: float
    p99: float
    structure: float
    edges: float
    pixels: int


NOTHING_OPAQUE = Fidelity(0.0, 0.0, 1.0, 1.0, 0)
"""Of a product that is transparent all over: its pixels are mixed with the scene everywhere."""


def compare(
    original: NDArray[np.uint8], picture: NDArray[np.uint8], alpha: NDArray[np.uint8]
) -> Fidelity:
    """Compare a product with its original.

    Args:
        original: (height, width, 3) uint8, sRGB: the product's box as it should be.
        picture: (height, width, 3) uint8, sRGB: the same box as it came to be.
        alpha: (height, width) uint8 of that box; compared is where it is 255.

    Raises:
        ValueError: The shapes differ.
    """
    if not original.shape[:2] == picture.shape[:2] == alpha.shape:
        raise ValueError(f"shapes differ: {original.shape}, {picture.shape}, {alpha.shape}")
    opaque = np.asarray(cv2.inRange(alpha, 255, 255), np.uint8)
    tiles = _tiles(opaque)
    if not tiles:
        return NOTHING_OPAQUE
    before, after = _cut(original, tiles), _cut(picture, tiles)
    seen = _cut(opaque, tiles) == 255
    # Every second pixel, as on a chessboard: the neighbours hardly differ from it.
    sample = seen & (np.indices(seen.shape[1:]).sum(axis=0) % 2 == 0)
    differences = delta_e(lab(before[sample]), lab(after[sample]))
    median, p99 = np.percentile(differences, (50, 99))
    grey = [_luminance(each) for each in (before, after)]
    return Fidelity(
        median=round(float(median), 3),
        p99=round(float(p99), 3),
        structure=round(_structure(grey[0], grey[1], seen), 4),
        edges=round(_edges(grey[0], grey[1], seen), 4),
        pixels=int(sample.sum()),
    )


def _tiles(opaque: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Corners of the tiles that show most of the product, spread evenly over it."""
    height, width = opaque.shape
    rows, columns = -(-height // _TILE), -(-width // _TILE)
    padded = cv2.copyMakeBorder(
        opaque, 0, rows * _TILE - height, 0, columns * _TILE - width, cv2.BORDER_CONSTANT, value=0
    )
    shares = cv2.resize(padded, (columns, rows), interpolation=cv2.INTER_AREA).ravel()
    best = min(128, int(shares.max()))
    chosen = np.flatnonzero(shares >= max(1, best))
    if len(chosen) > _TILES:
        chosen = chosen[np.linspace(0, len(chosen) - 1, _TILES).round().astype(np.intp)]
    return [(int(index // columns) * _TILE, int(index % columns) * _TILE) for index in chosen]


def _cut(picture: NDArray[np.uint8], tiles: list[tuple[int, int]]) -> NDArray[np.uint8]:
    """The tiles as one array; what lies outside of the picture is 0."""
    cut = np.zeros((len(tiles), _TILE, _TILE, *picture.shape[2:]), np.uint8)
    for index, (top, left) in enumerate(tiles):
        part = picture[top : top + _TILE, left : left + _TILE]
        cut[index, : part.shape[0], : part.shape[1]] = part
    return cut


def _luminance(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Luma of BT.601, 0 to 255."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.asarray(tiles.astype(np.float32) @ weights, np.float32)


def _structure(
    before: NDArray[np.float32], after: NDArray[np.float32], seen: NDArray[np.bool_]
) -> float:
    """Mean structural similarity of the blocks that show nothing but the product."""
    count, side = len(before), _TILE // _BLOCK

    def blocks(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = tiles.reshape(count, side, _BLOCK, side, _BLOCK).swapaxes(2, 3)
        return parts.reshape(-1, _BLOCK * _BLOCK)

    whole = blocks(seen.astype(np.float32)).min(axis=1) == 1
    if not whole.any():
        return 1.0
    first, second = blocks(before)[whole], blocks(after)[whole]
    mean_1, mean_2 = first.mean(axis=1), second.mean(axis=1)
    first, second = first - mean_1[:, None], second - mean_2[:, None]
    spread = (first**2).mean(axis=1) + (second**2).mean(axis=1)
    together = (first * second).mean(axis=1)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similar = (2 * mean_1 * mean_2 + c1) / (mean_1**2 + mean_2**2 + c1)
    return float((similar * (2 * together + c2) / (spread + c2)).mean())


def _edges(
    before: NDArray[np.float32], after: NDArray[np.float32], seen: NDArray[np.bool_]
) -> float:
    """Twice what the gradients have in common, over what they have together."""
    inside = seen[:, 2:, 1:-1] & seen[:, :-2, 1:-1] & seen[:, 1:-1, 2:] & seen[:, 1:-1, :-2]

    def gradients(tiles: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        down = tiles[:, 2:, 1:-1] - tiles[:, :-2, 1:-1]
        across = tiles[:, 1:-1, 2:] - tiles[:, 1:-1, :-2]
        return down[inside], across[inside]

    down_1, across_1 = gradients(before)
    down_2, across_2 = gradients(after)
    strength_1, strength_2 = down_1**2 + across_1**2, down_2**2 + across_2**2
    edge = np.maximum(strength_1, strength_2) >= _EDGE**2
    if not edge.any():
        return 1.0
    common = (down_1 * down_2 + across_1 * across_2)[edge].sum()
    return float(2 * common / (strength_1[edge].sum() + strength_2[edge].sum()))
