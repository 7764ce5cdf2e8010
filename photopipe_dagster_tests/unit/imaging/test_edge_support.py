"""An outline is believed where the photo's edges are under it, and nowhere as much beside it."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from photopipe_dagster.imaging.composite import CutoutPicture
from photopipe_dagster.imaging.edge_support import EdgeSupport, edge_support
from photopipe_dagster.imaging.measures import View
from photopipe_dagster.quality.gates import DEFAULT_GATES, check_outline
from photopipe_dagster.quality.results import Verdict

Pixels = NDArray[np.uint8]

SIDE = 480


def room(colour: tuple[int, int, int] = (150, 40, 30), *, grass: bool = False) -> Image.Image:
    """A box before a wall with a lamp's light and a floor: no plain ground."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    shade = 190 - 60 * np.hypot(x - 0.2, y - 0.1) + rng.normal(0, 3, (SIDE, SIDE))
    pixels = np.dstack((shade, shade - 8, shade - 20))
    pixels[round(0.6 * SIDE) :] -= 50
    if grass:  # on which the product looks like more of it
        return Image.fromarray(
            np.clip(rng.normal(110, 60, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
        )
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    ImageDraw.Draw(image).rounded_rectangle((150, 140, 330, 380), 20, fill=colour)
    return image


def true_alpha() -> Pixels:
    image = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(image).rounded_rectangle((150, 140, 330, 380), 20, fill=255)
    return np.asarray(image)


def moved(alpha: Pixels, share: float) -> Pixels:
    """To the right, by a share of the picture's width."""
    return np.roll(alpha, round(share * SIDE), axis=1)


def support(image: Image.Image, alpha: Pixels) -> EdgeSupport:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=92)
    rgba = np.dstack((np.asarray(image), alpha))
    return edge_support(View.of(out.getvalue(), CutoutPicture.from_rgba(rgba)))


def verdicts(found: EdgeSupport) -> set[Verdict]:
    return {measure.verdict for measure in check_outline(DEFAULT_GATES, found)}


def test_a_right_outline_is_believed_on_any_ground_that_tells():
    assert verdicts(support(room(), true_alpha())) == {Verdict.PASS}


def cut_in_half(alpha: Pixels) -> Pixels:
    half = alpha.copy()
    half[: SIDE // 2] = 0
    return half


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda alpha: moved(alpha, 0.1), id="moved by a tenth of the width"),
        pytest.param(lambda alpha: moved(alpha, 0.03), id="moved by a little"),
        pytest.param(lambda alpha: cv2.dilate(alpha, np.ones((25, 25))), id="ground taken in"),
        pytest.param(lambda alpha: cv2.erode(alpha, np.ones((25, 25))), id="product left out"),
        pytest.param(cut_in_half, id="half of the product left out"),
    ],
)
def test_an_outline_beside_the_products_is_looked_at(wrong: Callable[[Pixels], Pixels]):
    assert Verdict.WARN in verdicts(support(room(), wrong(true_alpha())))


def test_where_the_photo_does_not_tell_a_person_looks():
    assert Verdict.WARN in verdicts(support(room(grass=True), true_alpha()))
    pale = room((178, 170, 158))
    assert Verdict.WARN in verdicts(support(pale, true_alpha()))
    assert Verdict.WARN in verdicts(support(room(), np.full((SIDE, SIDE), 255, np.uint8)))
