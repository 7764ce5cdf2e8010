"""Cut a product out of its photo with a small U²-Net that looks twice, and a third time in doubt.

The network sees 320 × 320 pixels, whatever the photo's size. It first looks at the whole photo to
find the product, then once more at the product with some ground around it: the second look has
more of its pixels on the product. A wide margin matters: looked at closely, the network loses
sight of what is ground and cuts into bottles and soles.

Now and then it cannot tell (white soles on a white ground), or the two looks contradict each other
(a black cap is there once and gone the next time). Then it looks at the product mirrored and
darkened, which shows it pale things on pale grounds anew, and what one look saw clearly is kept.

Source of input and output: the U²-Net project (https://github.com/xuebinqin/U-2-Net, Apache-2.0).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from photopipe_dagster.core.errors import ConfigurationError, ErrorCode, ProviderError
from photopipe_dagster.imaging import matting
from photopipe_dagster.imaging.matting import Floats, Rgb

VERSION = f"3-looks/1+matting/{matting.VERSION}"
"""Part of a cut-out's recipe: raised whenever this module answers otherwise than before."""

SIDE = 320
"""Pixels a side of what the network sees."""

LEAST_RAW_MAXIMUM = 0.1
"""Below it the network saw no product: an empty picture gives about 0.002, a product about 1."""

_SEEN = 0.3
"""Where the first look counts as product, to find its box."""

_MARGIN = 0.4
"""Ground around the product at the second look, share of the product's width and height."""

_NOT_WORTH_A_LOOK = 0.85
"""A product that fills so much of the frame's area is not looked at again."""

_DOUBT = 0.02
"""Area that the looks leave in doubt or contradict each other about, share of the product's, from
which it pays to look a third time."""

_CONTRADICTION = 0.5
"""Difference of two looks from which they contradict each other."""

_GAP = 13
"""Height up to which a gap between a piece and the one that carries it is closed, cells of the
network's grid."""

_LEAST_PIECE = 0.01
"""Share of the largest piece's area from which a piece belongs to the product."""

_HINT = 0.1
"""What the looks must make of such a gap on average: bare ground is seen as 0.00."""

_DARKENING = 2.0
"""Gamma of the third look."""

_RIM = 8
"""Ground kept around the product where edges are refined, pixels of the network's grid."""

_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


@dataclass(frozen=True, slots=True)
class Saliency:
    """What the network saw.

    Args:
        map: ``(320, 320) float32``, stretched to 0..1.
        raw_maximum: The highest value before stretching, from 0 to 1.
    """

    map: Floats
    raw_maximum: float


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a picture, pixels; `bottom` and `right` are outside."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def area(self) -> int:
        return (self.bottom - self.top) * (self.right - self.left)

    def of(self, picture: NDArray[Any]) -> Any:
        """That part of the picture, a view."""
        return picture[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True, slots=True)
class SegmentedProduct:
    """A product cut out.

    Args:
        rgba: ``(height, width, 4) uint8``, straight alpha, sRGB, colour zeroed under alpha 0.
        raw_maximum: How sure the network was, from 0 to 1.
        coverage: Share of the frame that the product covers.
    """

    rgba: NDArray[np.uint8]
    raw_maximum: float
    coverage: float


class CutoutModel:
    """The network, loaded when first used. Safe to use from several threads.

    Args:
        path: The ONNX file.
        threads: Threads one look may use. One is best where several photos are worked on at once.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._path = path
        self._threads = threads
        self._loading = threading.Lock()
        self._session: Any = None

    def saliency(self, rgb: Rgb) -> Saliency:
        """Look at a picture.

        Args:
            rgb: ``(height, width, 3) uint8`` sRGB of any size.

        Raises:
            ConfigurationError: The file is no model of this kind.
        """
        session = self._loaded()
        answer = session.run(
            [session.get_outputs()[0].name], {session.get_inputs()[0].name: _input(rgb)}
        )
        raw: Floats = answer[0][0, 0]
        low, high = float(raw.min()), float(raw.max())
        return Saliency((raw - low) / max(high - low, 1e-6), high)

    def _loaded(self) -> Any:
        with self._loading:
            if self._session is None:
                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = self._threads
                options.inter_op_num_threads = 1
                try:
                    self._session = onnxruntime.InferenceSession(
                        str(self._path), options, providers=["CPUExecutionProvider"]
                    )
                except Exception as error:
                    # onnxruntime raises some ten unrelated classes for an unusable file.
                    raise ConfigurationError(
                        f"{self._path.name} is no model that can be loaded; point "
                        "CUTOUT_MODEL_PATH at a U²-Net in ONNX format, or leave it empty."
                    ) from error
            return self._session


def cut_out(model: CutoutModel, rgb: Rgb) -> SegmentedProduct:
    """Cut the product out.

    Args:
        model: The network.
        rgb: ``(height, width, 3) uint8`` sRGB, as displayed.

    Raises:
        ProviderError: SEGMENTATION_ERROR, not retryable: there is no product to be seen.
        ConfigurationError: The model cannot be loaded.
    """
    seen = model.saliency(rgb)
    if seen.raw_maximum < LEAST_RAW_MAXIMUM or not (seen.map > _SEEN).any():
        raise _nothing_found(seen)
    box, coarse = _looked_at(model, rgb, seen)
    box, coarse = _tightened(box, matting.decide(coarse))
    alpha = matting.drop_specks(matting.refine(box.of(rgb), coarse))
    alpha = matting.fill_false_holes(box.of(rgb), alpha)
    levels = np.rint(alpha * 255).astype(np.uint8)
    if not (levels > 127).any():
        raise _nothing_found(seen)
    rgba = np.zeros((*rgb.shape[:2], 4), np.uint8)
    part = box.of(rgba)
    part[..., :3] = matting.edge_colour(box.of(rgb), levels.astype(np.float32) / np.float32(255))
    part[..., 3] = levels
    coverage = float(levels.sum(dtype=np.int64)) / (255 * rgb.shape[0] * rgb.shape[1])
    return SegmentedProduct(rgba, seen.raw_maximum, coverage)


def _looked_at(model: CutoutModel, rgb: Rgb, seen: Saliency) -> tuple[Box, Floats]:
    """The part of the photo that the product is in, and the best map of it."""
    whole = Box(0, rgb.shape[0], 0, rgb.shape[1])
    box, looks = whole, [seen.map]
    near = product_box(seen.map, rgb.shape[:2])
    if near.area < _NOT_WORTH_A_LOOK * whole.area:
        closer = model.saliency(np.ascontiguousarray(near.of(rgb)))
        if closer.raw_maximum >= LEAST_RAW_MAXIMUM:
            box, looks = near, [closer.map, _part(seen.map, near, whole)]
    if _in_doubt(looks):
        third = model.saliency(_mirrored_and_darkened(box.of(rgb)))
        if third.raw_maximum >= LEAST_RAW_MAXIMUM:
            looks.append(third.map[:, ::-1])
    return box, _agreed(looks)


def _in_doubt(looks: list[Floats]) -> bool:
    """Whether a good part of the product is seen neither clearly nor the same each time."""
    best = looks[0]
    unclear = matting.doubtful(best)
    for other in looks[1:]:
        unclear |= matting.wide(np.abs(other - best) > _CONTRADICTION)
    return bool(unclear.sum() > _DOUBT * (best > 0.5).sum())


def _agreed(looks: list[Floats]) -> Floats:
    """The best look, with the areas that only another look saw. Its own edges stand."""
    best = looks[0]
    if not _in_doubt(looks):
        return best
    most = np.maximum.reduce(looks)
    missed = matting.wide(most - best > 0.1).astype(np.float32)
    reach = np.ones((5, 5), np.uint8)
    share = cv2.blur(cv2.dilate(missed, reach), (3, 3))
    return _joined(best + share * (most - best), most)


def _joined(seen: Floats, most: Floats) -> Floats:
    """Close narrow gaps between pieces that stand on each other.

    Clear plastic or glass between a cap and what fills the bottle is taken for ground; but a cap
    does not hover.

    Args:
        seen: The map.
        most: The highest value of all looks.
    """
    pieces, labels, widths = _pieces(seen)
    closed = cv2.morphologyEx(pieces, cv2.MORPH_CLOSE, np.ones((_GAP, 1), np.uint8))
    count, gaps = cv2.connectedComponents(closed - pieces)
    joined = seen.copy()
    for number in range(1, count):
        gap = (gaps == number).astype(np.uint8)
        around = cv2.dilate(gap, np.ones((3, 1), np.uint8)) > 0
        beside = np.unique(labels[around & (pieces > 0)])
        across = int(gap.any(axis=0).sum())
        held = len(beside) > 1 and across >= 0.5 * min(widths[beside])
        if held and most[gap > 0].mean() > _HINT:
            joined[gap > 0] = 1
    return joined


def _pieces(seen: Floats) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.int32]]:
    """Where the sizeable pieces are, the number of the piece at each cell, and their widths."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((seen > 0.5).astype(np.uint8))
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    sizeable = (areas > 0) & (areas >= _LEAST_PIECE * areas.max())
    return (
        sizeable[labels].astype(np.uint8),
        np.asarray(labels, np.int32),
        np.asarray(stats[:, cv2.CC_STAT_WIDTH], np.int32),
    )


def _part(whole_map: Floats, part: Box, whole: Box) -> Floats:
    """What a map over the whole photo says of a part, on a grid of the same size."""
    height, width = whole_map.shape
    across, down = width / whole.right, height / whole.bottom
    columns = (part.right - part.left) * across / width
    rows = (part.bottom - part.top) * down / height
    # From a cell of the part's grid, by its middle, to one of the whole's.
    matrix = np.array(
        [
            [columns, 0, part.left * across + 0.5 * columns - 0.5],
            [0, rows, part.top * down + 0.5 * rows - 0.5],
        ]
    )
    return np.asarray(
        cv2.warpAffine(
            whole_map,
            matrix,
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.float32,
    )


def _mirrored_and_darkened(rgb: Rgb) -> Rgb:
    levels = np.rint(255 * (np.arange(256) / 255) ** _DARKENING).astype(np.uint8)
    return np.ascontiguousarray(levels[rgb[:, ::-1]])


def _tightened(box: Box, coarse: Floats) -> tuple[Box, Floats]:
    """The same without the empty margin, so that nothing is computed there."""
    rows, columns = np.nonzero(coarse > 0.02)
    low, high = max(0, rows.min() - _RIM), min(coarse.shape[0], rows.max() + 1 + _RIM)
    left, right = max(0, columns.min() - _RIM), min(coarse.shape[1], columns.max() + 1 + _RIM)
    down, across = (
        (box.bottom - box.top) / coarse.shape[0],
        (box.right - box.left) / coarse.shape[1],
    )
    tight = Box(
        box.top + round(low * down),
        max(box.top + round(high * down), box.top + round(low * down) + 1),
        box.left + round(left * across),
        max(box.left + round(right * across), box.left + round(left * across) + 1),
    )
    return tight, coarse[low:high, left:right]


def product_box(saliency: Floats, shape: tuple[int, int]) -> Box:
    """Where the product is, with a margin of ground.

    Args:
        saliency: A map over the whole photo that shows something.
        shape: Height and width of the photo, pixels.

    Returns:
        A box in pixels of the photo that holds every sizeable piece of the product.
    """
    seen = (saliency > _SEEN).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(seen)
    areas = stats[1:, cv2.CC_STAT_AREA]
    pieces = 1 + np.flatnonzero(areas >= 0.01 * areas.max())
    rows, columns = np.nonzero(np.isin(labels, pieces))
    top, bottom = _widened(rows, saliency.shape[0], shape[0])
    left, right = _widened(columns, saliency.shape[1], shape[1])
    return Box(top, bottom, left, right)


def _widened(positions: NDArray[np.intp], cells: int, pixels: int) -> tuple[int, int]:
    low, high = int(positions.min()), int(positions.max()) + 1
    margin = _MARGIN * (high - low)
    scale = pixels / cells
    return (
        max(0, int(np.floor((low - margin) * scale))),
        min(pixels, int(np.ceil((high + margin) * scale))),
    )


def _input(rgb: Rgb) -> Floats:
    """What the network wants: by the picture's maximum, then ImageNet's mean and deviation."""
    shrinks = min(rgb.shape[:2]) >= SIDE
    small = cv2.resize(
        rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    ).astype(np.float32)
    small /= max(float(small.max()), 1.0)
    return np.ascontiguousarray(((small - _MEAN) / _DEVIATION).transpose(2, 0, 1)[None])


def _nothing_found(seen: Saliency) -> ProviderError:
    return ProviderError(
        "No product was found in the photo; look at it, and send one that shows the product alone "
        "before a plain ground.",
        code=ErrorCode.SEGMENTATION_ERROR,
        retryable=False,
        details={"raw_maximum": round(seen.raw_maximum, 4)},
    )
