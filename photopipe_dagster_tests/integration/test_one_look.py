"""Twenty-four products of all shapes in one scene: one ground, one line, one light, one scale."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from statistics import fmean, pstdev
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from photopipe_dagster.imaging.composite import Composite, CutoutPicture, encode_jpeg
from photopipe_dagster.imaging.finishing import finish, read_back
from photopipe_dagster.imaging.light import Light
from photopipe_dagster.imaging.placement import Placement, Scale
from photopipe_dagster.imaging.scene_view import SceneView
from photopipe_dagster.ledger.product_sizes import ProductSize
from photopipe_dagster.pipeline.stages.composite import limited, scaled, scene_of
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster.themes.model import Theme

CANVAS = (360, 360)
VIEW = SceneView(960, 720, 0.78, pixels_per_cm=15, light=Light(azimuth_degrees=300, cast=0.5))


def product(number: int) -> CutoutPicture:
    """A box, an ellipse or a bottle of its own proportions and colours, noisy as a photo."""
    rng = np.random.default_rng(number)
    width, height = 60 + 20 * (number % 6), 90 + 25 * (number // 6)
    alpha = np.zeros((400, 500), np.uint8)
    left, bottom = 80 + 11 * number, 300 + 3 * number
    if number % 3 == 1:
        middle = (left + width // 2, bottom - height // 2)
        cv2.ellipse(alpha, middle, (width // 2, height // 2), 0, 0, 360, 255, -1, cv2.LINE_AA)
    else:
        cv2.rectangle(alpha, (left, bottom - height), (left + width, bottom), 255, -1)
    if number % 3 == 2:
        cv2.rectangle(
            alpha, (left, bottom - height), (left + width // 4, bottom - height // 2), 0, -1
        )
    rgb = rng.integers(0, 255, 3) + rng.normal(0, 6, (400, 500, 3))
    rgba = np.dstack((np.clip(rgb, 0, 255).astype(np.uint8), alpha))
    return CutoutPicture.from_rgba(rgba)


def ground() -> NDArray[np.uint8]:
    rows = np.linspace(120, 210, CANVAS[1])[:, None, None]
    noise = np.random.default_rng(1).normal(0, 3, (*CANVAS[::-1], 3))
    return np.clip(rows + noise, 0, 255).astype(np.uint8)


class Made(NamedTuple):
    composite: Composite
    rgb: NDArray[np.uint8]


@cache
def collection(scale: Scale) -> tuple[Made, ...]:
    """All of them, each 12 cm high."""
    theme = replace(
        THEMES["kitchen"], scale=scale, light=VIEW.light, placement=Placement(max_scale=9)
    )
    background = encode_jpeg(ground(), quality=97, full_colour=True)
    return tuple(made(theme, background, number) for number in range(24))


def made(theme: Theme, background: bytes, number: int) -> Made:
    size = ProductSize(str(number), height_cm=6.0 + number / 4)
    stand, _ = scaled(theme, VIEW, CANVAS, size)
    composite = finish(product(number), background, scene_of(theme, stand=stand)).composite
    return Made(composite, read_back(composite.jpeg))


def test_the_ground_is_the_same_byte_for_byte():
    pictures = [each.rgb for each in collection(Scale.OPTICAL)]
    usual = np.median(np.stack(pictures), axis=0).astype(np.uint8)
    untouched = 0
    for picture in pictures:
        changed = (cv2.absdiff(picture, usual).max(axis=2) > 0).astype(np.uint8)
        # One piece: the product, its shadow, and how far a block carries them.
        x, y, across, down = cv2.boundingRect(changed)
        assert across < CANVAS[0]
        outside = np.ones(CANVAS[::-1], bool)
        outside[y : y + down, x : x + across] = False
        assert np.array_equal(picture[outside], usual[outside])
        untouched += int(outside.sum())
    assert untouched / len(pictures) > 0.3 * CANVAS[0] * CANVAS[1]


def test_all_stand_on_one_line_and_look_equally_large():
    found = [each.composite for each in collection(Scale.OPTICAL)]
    line = VIEW.stand_in(*CANVAS).ground
    assert max(abs(each.ground - line) for each in found) < 0.005
    sizes = [each.optical for each in found]
    assert pstdev(sizes) / fmean(sizes) < 0.08


def test_all_shadows_fall_to_one_side():
    plain = read_back(encode_jpeg(ground(), quality=98, full_colour=True)).astype(np.int32)
    found = collection(Scale.OPTICAL)
    thrown = {each.composite.shadow for each in found if each.composite.shadow is not None}
    assert thrown == {300.0}
    for composite, rgb in found:
        if composite.shadow is None:
            continue
        dark = np.clip(plain - rgb, 0, None).sum(axis=2)
        left, _, right, bottom = composite.box
        level = dark[bottom - 6 : bottom + 12]  # on the ground, beside the product
        assert level[:, right + 3 : right + 60].sum() > 2 * level[:, left - 60 : left - 3].sum()


def test_true_heights_are_true():
    for number, (composite, _) in enumerate(collection(Scale.TRUE)):
        wanted = VIEW.height_share(6.0 + number / 4, *CANVAS)
        assert wanted is not None
        height = (composite.box[3] - composite.box[1]) / composite.height
        assert height == pytest.approx(wanted, rel=0.03)


@pytest.mark.parametrize(
    ("scale", "view", "size", "says"),
    [
        (Scale.TRUE, VIEW, None, "height is not known"),
        (Scale.TRUE, VIEW, ProductSize("A", size_class="S"), "height is not known"),
        (Scale.TRUE, replace(VIEW, pixels_per_cm=None), ProductSize("A", 9.0), "centimetre"),
        (Scale.CLASS, VIEW, ProductSize("A", 9.0), "class is not known"),
    ],
)
def test_what_is_not_known_is_not_guessed(scale, view, size, says):
    theme = replace(THEMES["kitchen"], scale=scale)
    stand, facts = scaled(theme, view, CANVAS, size)
    assert (stand.optical, stand.height) == (None, None)
    assert str(facts["scaled_by"]).startswith("fill: ")
    assert says in str(facts["scaled_by"])


def test_classes_are_larger_one_by_one():
    theme = replace(THEMES["kitchen"], scale=Scale.CLASS)
    sizes = [
        scaled(theme, VIEW, CANVAS, ProductSize("A", size_class=name))[0].optical
        for name in ("XS", "S", "M", "L", "XL")
    ]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 5


def test_a_product_that_does_not_fit_is_told():
    theme = replace(THEMES["kitchen"], scale=Scale.TRUE, light=VIEW.light)
    stand, _ = scaled(theme, VIEW, CANVAS, ProductSize("A", 200.0))
    background = encode_jpeg(ground())
    finished = finish(product(1), background, scene_of(theme, stand=stand))
    assert "larger than" in str(limited(finished, stand)["scaled_by"])
    stand, _ = scaled(theme, VIEW, CANVAS, ProductSize("A", 8.0))
    assert limited(finish(product(1), background, scene_of(theme, stand=stand)), stand) == {}
