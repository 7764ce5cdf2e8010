"""A second opinion: somebody else looks at the cut-out, and at the background.

A cut-out that was bought is compared with what the local network sees. One that the local network
made is compared with the colour of the ground, where that is plain. Neither is right all the time:
where the two disagree, a person looks. Where no network is at hand, the outline of a bought one is
compared with the edges of its photo: it may miss product, or have taken ground in. A photo whose
edges do not tell goes to a person, too.

A background should be empty. The local network, which looks for things that stand out, is asked
whether anything does in the finished picture beside the product. (Asked of the background alone it
finds table tops and spots of light; beside a product those no longer stand out.)
"""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.core.errors import ProviderError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.colour import lab
from photopipe_dagster.imaging.decode import decode_rgb
from photopipe_dagster.imaging.edge_support import EdgeSupport, edge_support
from photopipe_dagster.imaging.measures import View
from photopipe_dagster.imaging.segmentation.model import (
    ensure_model,
    is_this_network,
    model_file,
    places,
)
from photopipe_dagster.imaging.segmentation.shapes import ShapeName
from photopipe_dagster.quality.gates import CutoutOpinion
from photopipe_dagster.runtime.providers import is_generative

if TYPE_CHECKING:
    from photopipe_dagster.imaging.segmentation.cutout import CutoutModel

SIDE: Final = 320
"""Longest side that the network is shown, pixels."""

GROUND_SIDE: Final = 160
"""Longest side at which colours are compared with the ground's, pixels."""

_SOLID = 128
"""Alpha of 255 from which a pixel counts as product."""

_EDGE = np.ones((5, 5), np.uint8)
"""What two opinions may differ by along an edge."""

_SMALLEST_HOLE = 0.003
"""Share of the product's area from which a hole counts."""

_PLAIN = 7.0
"""Standard deviation of the ground's lightness (L*) and colour (a*, b*) up to which it is plain."""

_COLOUR = 20.0
"""Distance in a*, b* from a plain ground that no shadow makes."""

_LIGHTNESS = 50.0
"""Distance in L* from a plain ground that no shadow makes."""

_STANDS_OUT = 0.5
"""What the network says of a pixel, 0 to 1, that belongs to a thing."""

_LEAST_THING = np.ones((9, 9), np.uint8)
"""Smaller things are no products; cells of the network's grid of 320 × 320."""

_RIM = 10
"""Cells around the product that its edge and its contact shadow may take."""

_REFLECTION = 0.8
"""How far below the product its reflection reaches, share of the product's height."""


class SecondOpinion:
    """Asks the witnesses that there are. Safe to use from several threads.

    Args:
        settings: `SECOND_OPINION`, and where the network is.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def of_cutout(self, view: View, made_by: str) -> CutoutOpinion | None:
        """Have a cut-out looked at by another witness than what made it.

        Args:
            view: The cut-out and its photo.
            made_by: The model that cut out.

        Returns:
            ``None`` where nobody can say: no network is at hand and the ground is not plain.

        Raises:
            NetworkError: With ``SECOND_OPINION=on``: the network's file could not be fetched.
            ConfigurationError: The network's file is unusable.
        """
        if self._settings.second_opinion == "off":
            return None
        model = None if is_this_network(made_by) else self._model()
        return seen_by_ground(view) if model is None else seen_by_network(view, model)

    def of_outline(self, view: View, made_by: str) -> EdgeSupport | None:
        """How the outline lies on the photo's edges, where no network can say what the product is.

        Args:
            view: The cut-out and its photo.
            made_by: The model that cut out.

        Returns:
            ``None`` where a network has looked, or a second opinion is not wanted.
        """
        if self._settings.second_opinion == "off" or is_this_network(made_by):
            return None
        return edge_support(view) if self._model() is None else None

    def of_picture(
        self, composite: bytes, box: tuple[int, int, int, int], provider: str
    ) -> float | None:
        """How large a second product in a finished picture is; see `second_product`.

        Args:
            composite: The file.
            box: Left, top, right and bottom of the product in it, pixels.
            provider: Who made the background. One without a generative model is known to be empty.

        Returns:
            ``None`` where nobody can say.

        Raises:
            NetworkError: With ``SECOND_OPINION=on``: the network's file could not be fetched.
            ConfigurationError: The network's file is unusable.
            PhotoRejectedError: The composite cannot be read.
        """
        if self._settings.second_opinion == "off" or not is_generative(provider):
            return None
        model = self._model()
        if model is None:
            return None
        return second_product(decode_rgb(composite), box, model)

    def _model(self) -> CutoutModel | None:
        folder, path = places(self._settings.cutout_model_path, self._settings.data_dir)
        shape: ShapeName = "auto" if path is None else self._settings.cutout_model_shape
        if path is None and self._settings.second_opinion == "on":
            with _fetching:
                path = ensure_model(folder)
        if path is None:
            path = model_file(folder)
        return _loaded(path, shape) if path.is_file() else None


_fetching = threading.Lock()


@lru_cache(maxsize=2)
def _loaded(path: Path, shape: ShapeName) -> CutoutModel:
    # Brings an inference engine along, which nobody should wait for who does not use it.
    from photopipe_dagster.imaging.segmentation.cutout import CutoutModel

    return CutoutModel(path, shape=shape)


def seen_by_network(view: View, model: CutoutModel) -> CutoutOpinion:
    """Compare a cut-out with what the local network makes of the photo."""
    from photopipe_dagster.imaging.segmentation.cutout import cut_out

    product = _small(view.alpha, SIDE) >= _SOLID
    area = max(1, int(product.sum()))
    try:
        made = cut_out(model, _small(view.photo, SIDE))
    except ProviderError:  # nothing found
        return CutoutOpinion("network", 1.0, 0)
    other = made.rgba[..., 3] >= _SOLID
    apart = _wide(product ^ other) / area
    return CutoutOpinion(
        "network",
        apart,
        sum(bool(product[hole].mean() > 0.5) for hole in _holes(other, _SMALLEST_HOLE * area)),
        {
            "disagreement": max(apart, made.disagreement),
            "spread": made.doubts.spread + apart,
            "doubt_inside": made.doubts.inside,
            "doubt_outside": made.doubts.outside,
        },
    )


def seen_by_ground(view: View) -> CutoutOpinion | None:
    """Look for product that a cut-out left behind on a plain ground.

    What has the ground's colour may still be product, and what is darker may be shadow: only what
    is neither counts.

    Returns:
        ``None`` where the ground is not plain, or there is none.
    """
    alpha = _small(view.alpha, GROUND_SIDE)
    product = (alpha >= _SOLID).astype(np.uint8)
    near = cv2.dilate((alpha > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    border = np.zeros(near.shape, np.bool_)
    margin = max(2, min(near.shape) // 20)
    border[:margin], border[-margin:], border[:, :margin], border[:, -margin:] = (True,) * 4
    border &= ~near
    if not border.any():
        return None
    colours = lab(_small(view.photo, GROUND_SIDE))
    if colours[border].std(axis=0).max() > _PLAIN:
        return None
    away = np.abs(colours - np.median(colours[border], axis=0))
    other = (np.hypot(away[..., 1], away[..., 2]) > _COLOUR) | (away[..., 0] > _LIGHTNESS)
    missed = _wide(other & ~near)
    return CutoutOpinion("ground", missed / max(1, int(product.sum())), 0)


def second_product(
    picture: NDArray[np.uint8], box: tuple[int, int, int, int], model: CutoutModel
) -> float:
    """How large the largest thing is that stands out in a picture beside its product.

    Args:
        picture: (height, width, 3) uint8, sRGB.
        box: Left, top, right and bottom of the product, pixels.

    Returns:
        Share of the picture, 0 to 1. The product's shadow and reflection do not count.
    """
    seen = model.saliency(picture)
    things = (seen.map * seen.raw_maximum > _STANDS_OUT).astype(np.uint8)
    down, across = things.shape[0] / picture.shape[0], things.shape[1] / picture.shape[1]
    left, right = (round(side * across) for side in box[::2])
    top, bottom = (round(side * down) for side in box[1::2])
    below = round(_REFLECTION * (bottom - top))
    things[max(0, top - _RIM) : bottom + _RIM + below, max(0, left - _RIM) : right + _RIM] = 0
    things = np.asarray(cv2.morphologyEx(things, cv2.MORPH_OPEN, _LEAST_THING), np.uint8)
    areas = cv2.connectedComponentsWithStats(things)[2][1:, cv2.CC_STAT_AREA]
    return float(areas.max(initial=0)) / things.size


def _small(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Shrink until the longer side is so many pixels."""
    shape = picture.shape
    shrink = min(1.0, side / max(shape[:2]))
    size = (max(1, round(shape[1] * shrink)), max(1, round(shape[0] * shrink)))
    while max(picture.shape[:2]) >= 2 * side:  # far quicker than the area's mean of it all
        picture = np.asarray(cv2.pyrDown(picture), np.uint8)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _wide(marked: NDArray[np.bool_]) -> int:
    """Pixels of the marked areas that are wider than an edge."""
    opened = cv2.morphologyEx(marked.astype(np.uint8), cv2.MORPH_OPEN, _EDGE)
    return int(np.count_nonzero(opened))


def _holes(product: NDArray[np.bool_], smallest: float) -> list[NDArray[np.bool_]]:
    """Where ground is that the product encloses."""
    ground = np.pad((~product).astype(np.uint8), 1, constant_values=1)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ground, connectivity=4)
    outside = labels[0, 0]
    return [
        (labels == number)[1:-1, 1:-1]
        for number in range(1, count)
        if number != outside and stats[number, cv2.CC_STAT_AREA] >= smallest
    ]
