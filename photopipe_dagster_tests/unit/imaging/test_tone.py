"""A background goes part of the way to the product's light, and never far."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from photopipe_dagster.imaging.composite import CutoutPicture, Scene, assemble, encode_jpeg
from photopipe_dagster.imaging.tone import gains, matched

GREY = (150, 150, 150)
OPAQUE = np.full((160, 160), 255, np.uint8)


def plain(colour: tuple[int, int, int], side: int = 160) -> NDArray[np.uint8]:
    return np.full((side, side, 3), colour, np.uint8)


def test_the_same_light_changes_nothing() -> None:
    scene = plain(GREY, 320)
    assert gains(plain(GREY), OPAQUE, scene) == (1, 1, 1)
    assert matched(scene, (1, 1, 1)) is scene


def test_a_product_in_warm_light_warms_the_scene_a_little() -> None:
    red, green, blue = gains(plain((158, 150, 140)), OPAQUE, plain(GREY))
    assert 1.05 >= red > green > blue >= 0.95
    assert red > 1 > blue


@pytest.mark.parametrize("colour", [(220, 30, 30), (150, 166, 150), (166, 150, 166)])
def test_a_colourful_product_says_nothing_of_its_light(colour: tuple[int, int, int]) -> None:
    red, green, blue = gains(plain(colour), OPAQUE, plain(GREY))
    assert red == green == blue


def test_a_dark_product_dims_the_scene_by_a_bounded_amount() -> None:
    dimmed = gains(plain((20, 20, 20)), OPAQUE, plain((240, 240, 240)))
    assert dimmed == pytest.approx((0.92, 0.92, 0.92))
    brightened = gains(plain((250, 250, 250)), OPAQUE, plain((20, 20, 20)))
    assert brightened == pytest.approx((1.04, 1.04, 1.04))


def test_white_stays_white_and_nothing_turns_over() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    for by in ((0.9, 0.95, 1.0), (1.09, 1.0, 0.92)):
        toned = matched(ramp, by)
        assert (toned[0, 255] == 255).all()
        assert (np.diff(toned[0].astype(int), axis=0) >= 0).all()


def test_a_transparent_product_says_nothing() -> None:
    assert gains(plain((20, 20, 20)), OPAQUE // 2, plain(GREY)) == (1, 1, 1)


def test_the_product_itself_is_left_alone() -> None:
    rgba = np.zeros((200, 200, 4), np.uint8)
    rgba[50:150, 50:150] = (160, 150, 140, 255)
    scene = encode_jpeg(plain(GREY, 200))
    toned = assemble(CutoutPicture.from_rgba(rgba), scene, Scene(light=None, tone_match=True))
    kept = assemble(CutoutPicture.from_rgba(rgba), scene, Scene(light=None))
    assert (toned.rgb[50:150, 50:150] == (160, 150, 140)).all()
    assert not np.array_equal(toned.rgb[:50], kept.rgb[:50])
