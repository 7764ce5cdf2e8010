"""Cut a product out of its photo: several looks of U²-Nets, of which no single one decides.

A network sees 320 × 320 pixels, whatever the photo's size. It first looks at the whole photo to
find the product, then once more at the product with some ground around it: the second look has
more of its pixels on the product. A wide margin matters: looked at closely, the network loses
sight of what is ground and cuts into bottles and soles. The third look is a witness's: another,
smaller network's where there is one, else the same network's at the picture mirrored. Where these
contradict each other, two more follow: mirrored, and from closer. What the looks agree on is the
product (see `agreement`), and the photo itself says where its edge lies.

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
from photopipe_dagster.imaging.segmentation.agreement import Agreement, Doubts, agreed, doubts
from photopipe_dagster.imaging.segmentation.shapes import (
    SHAPES,
    NetworkShape,
    ShapeName,
    read_shape,
)

VERSION = f"agreement/1+matting/{matting.VERSION}"
"""Part of a cut-out's recipe: raised whenever this module answers otherwise than before."""

SIDE = 320
"""Pixels a side of what the network sees; what larger ones see is brought to that."""

_ROUNDING = 0.01

LEAST_RAW_MAXIMUM = 0.1
"""Below it the network saw no product: an empty picture gives about 0.002, a product about 1."""

_SEEN = 0.3
"""Where the first look counts as product, to find its box."""

_MARGIN = 0.4
"""Ground around the product at the second look, share of the product's width and height."""

_CLOSE_MARGIN = 0.15
"""The same for the look from closer that is taken in doubt."""

_DOUBT = 0.08
"""Disagreement of the first three looks from which it pays to look twice more."""

_RIM = 8
"""Ground kept around the product where edges are refined, pixels of the network's grid."""


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
        disagreement: See `agreement.Agreement`.
        ground_share: As above.
        raw_iou: Overlap of the cut-out with what the first look alone saw, 0 to 1.
        witness_iou: Overlap of what the second look saw with what the witness saw, 0 to 1.
        doubts: See `agreement.Doubts`.
    """

    rgba: NDArray[np.uint8]
    raw_maximum: float
    coverage: float
    disagreement: float
    ground_share: float
    raw_iou: float
    witness_iou: float
    doubts: Doubts


class CutoutModel:
    """The network, loaded when first used. Safe to use from several threads.

    Args:
        path: The ONNX file.
        threads: Threads one look may use. One is best where several photos are worked on at once.
        shape: Of which family it is; told by its input and its file's name where not given.
    """

    def __init__(self, path: Path, threads: int = 1, *, shape: ShapeName = "auto") -> None:
        self._path = path
        self._named = shape
        self._shape = SHAPES["u2net"]
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
        [fed, *_] = session.get_inputs()
        kind = np.float16 if "float16" in fed.type else np.float32
        given = _input(rgb, self._shape).astype(kind, copy=False)
        answer = session.run([session.get_outputs()[0].name], {fed.name: given})
        raw: Floats = np.squeeze(answer[0]).astype(np.float32, copy=False)
        if raw.min() < -_ROUNDING or raw.max() > 1 + _ROUNDING:  # logits
            raw = (1 / (1 + np.exp(-raw))).astype(np.float32)
        if raw.shape != (SIDE, SIDE):
            raw = cv2.resize(raw, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
        low, high = float(raw.min()), float(raw.max())
        return Saliency((raw - low) / max(high - low, 1e-6), high)

    def _loaded(self) -> Any:
        with self._loading:
            if self._session is None:
                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = self._threads
                options.inter_op_num_threads = 1
                # What one look needs is given back after it: the large network's looks would keep
                # half a gigabyte, and are no quicker for it.
                options.enable_cpu_mem_arena = False
                options.enable_mem_pattern = False
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
                inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
                self._shape = read_shape(inputs, outputs, self._path.name, self._named)
            return self._session


@dataclass(frozen=True, slots=True)
class _Seen:
    """The part of the photo that the product is in, and what the looks made of it."""

    box: Box
    agreement: Agreement
    witness_iou: float
    doubts: Doubts


def cut_out(model: CutoutModel, rgb: Rgb, witness: CutoutModel | None = None) -> SegmentedProduct:
    """Cut the product out.

    Args:
        model: The network.
        rgb: ``(height, width, 3) uint8`` sRGB, as displayed.
        witness: Another network for the third look; where not given, `model` looks at the picture
            mirrored.

    Raises:
        ProviderError: SEGMENTATION_ERROR, not retryable: there is no product to be seen.
        ConfigurationError: The model cannot be loaded.
    """
    first = model.saliency(rgb)
    if first.raw_maximum < LEAST_RAW_MAXIMUM or not (first.map > _SEEN).any():
        raise _nothing_found(first)
    seen = _looked_at(model, rgb, first, witness)
    coarse = matting.decide(seen.agreement.map)
    if not (coarse > 0.5).any():
        raise _nothing_found(first)
    box, coarse = _tightened(seen.box, coarse)
    alpha = matting.drop_specks(matting.refine(box.of(rgb), coarse))
    levels = np.rint(alpha * 255).astype(np.uint8)
    if not (levels > 127).any():
        raise _nothing_found(first)
    rgba = np.zeros((*rgb.shape[:2], 4), np.uint8)
    part = box.of(rgba)
    part[..., :3] = matting.edge_colour(box.of(rgb), levels.astype(np.float32) / np.float32(255))
    part[..., 3] = levels
    coverage = float(levels.sum(dtype=np.int64)) / (255 * rgb.shape[0] * rgb.shape[1])
    small = cv2.resize(rgba[..., 3], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return SegmentedProduct(
        rgba,
        first.raw_maximum,
        coverage,
        seen.agreement.disagreement,
        seen.agreement.ground_share,
        _overlap(small > 127, first.map > 0.5),
        seen.witness_iou,
        seen.doubts,
    )


def _looked_at(model: CutoutModel, rgb: Rgb, first: Saliency, witness: CutoutModel | None) -> _Seen:
    """Look at the part of the photo that the product is in, until the looks agree or are five."""
    whole = Box(0, rgb.shape[0], 0, rgb.shape[1])
    box = product_box(first.map, rgb.shape[:2])
    second = first if box == whole else _look(model, rgb, box)
    if not _believed(second):
        box, second = whole, first
    part = np.ascontiguousarray(box.of(rgb))
    third = _mirrored(model, part) if witness is None else witness.saliency(part)
    # Where the third look saw nothing at all, the second one stands.
    looks = [_moved(first.map, whole, box), second.map, (third if _believed(third) else second).map]
    agreement = agreed(looks, part)
    if agreement.disagreement > _DOUBT:
        close = product_box(first.map, rgb.shape[:2], _CLOSE_MARGIN)
        closer = _look(model, rgb, close)
        if witness is not None:
            looks.append(_mirrored(model, part).map)
        if _believed(closer):
            looks.append(_moved(closer.map, close, box))
        agreement = agreed(looks, part)
    return _Seen(
        box,
        agreement,
        _overlap(second.map > 0.5, third.map > 0.5),
        doubts(looks, agreement.map),
    )


def _look(model: CutoutModel, rgb: Rgb, box: Box) -> Saliency:
    return model.saliency(np.ascontiguousarray(box.of(rgb)))


def _believed(seen: Saliency) -> bool:
    return seen.raw_maximum >= LEAST_RAW_MAXIMUM


def _mirrored(model: CutoutModel, rgb: Rgb) -> Saliency:
    seen = model.saliency(np.ascontiguousarray(rgb[:, ::-1]))
    return Saliency(np.ascontiguousarray(seen.map[:, ::-1]), seen.raw_maximum)


def _overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Intersection over union."""
    return float(np.count_nonzero(one & other)) / max(1, int(np.count_nonzero(one | other)))


def _moved(seen: Floats, of: Box, to: Box) -> Floats:
    """What a map of one part of the photo says of another, on a grid of the same size.

    Nothing is seen outside its own part.
    """
    height, width = seen.shape
    across, down = width / (of.right - of.left), height / (of.bottom - of.top)
    columns = (to.right - to.left) * across / width
    rows = (to.bottom - to.top) * down / height
    # From a cell of the other part's grid, by its middle, to one of this one's.
    matrix = np.array(
        [
            [columns, 0, (to.left - of.left) * across + 0.5 * columns - 0.5],
            [0, rows, (to.top - of.top) * down + 0.5 * rows - 0.5],
        ]
    )
    inside = of.left <= to.left and of.top <= to.top and of.right >= to.right
    inside = inside and of.bottom >= to.bottom
    return np.asarray(
        cv2.warpAffine(
            seen,
            matrix,
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE if inside else cv2.BORDER_CONSTANT,
        ),
        np.float32,
    )


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


def product_box(saliency: Floats, shape: tuple[int, int], margin: float = _MARGIN) -> Box:
    """Where the product is, with a margin of ground.

    Args:
        saliency: A map over the whole photo that shows something.
        shape: Height and width of the photo, pixels.
        margin: Ground around the product, share of its width and height.

    Returns:
        A box in pixels of the photo that holds every sizeable piece of the product.
    """
    seen = (saliency > _SEEN).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(seen)
    areas = stats[1:, cv2.CC_STAT_AREA]
    pieces = 1 + np.flatnonzero(areas >= 0.01 * areas.max())
    rows, columns = np.nonzero(np.isin(labels, pieces))
    top, bottom = _widened(rows, saliency.shape[0], shape[0], margin)
    left, right = _widened(columns, saliency.shape[1], shape[1], margin)
    return Box(top, bottom, left, right)


def _widened(positions: NDArray[np.intp], cells: int, pixels: int, share: float) -> tuple[int, int]:
    low, high = int(positions.min()), int(positions.max()) + 1
    margin = share * (high - low)
    scale = pixels / cells
    return (
        max(0, int(np.floor((low - margin) * scale))),
        min(pixels, int(np.ceil((high + margin) * scale))),
    )


def _input(rgb: Rgb, shape: NetworkShape) -> Floats:
    """What a network wants: by the picture's maximum, then its family's mean and deviation."""
    shrinks = min(rgb.shape[:2]) >= shape.side
    size = (shape.side, shape.side)
    small = cv2.resize(
        rgb, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    ).astype(np.float32)
    small /= max(float(small.max()), 1.0)
    mean = np.array(shape.mean, np.float32)
    deviation = np.array(shape.deviation, np.float32)
    return np.ascontiguousarray(((small - mean) / deviation).transpose(2, 0, 1)[None])


def _nothing_found(seen: Saliency) -> ProviderError:
    return ProviderError(
        "No product was found in the photo; look at it, and send one that shows the product alone "
        "before a plain ground.",
        code=ErrorCode.SEGMENTATION_ERROR,
        retryable=False,
        details={"raw_maximum": round(seen.raw_maximum, 4)},
    )
