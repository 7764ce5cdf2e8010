"""Numbers of a cut-out and its photo: what they say of pictures whose faults are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.imaging.composite import CutoutPicture, encode_jpeg
from photopipe_dagster.imaging.decode import decode_rgb
from photopipe_dagster.imaging.measures import (
    CutoutNumbers,
    View,
    measure_cutout,
    measure_picture,
)
from photopipe_dagster.imaging.png import decode_cutout
from photopipe_dagster.sandbox.pictures import border_cut_out
from photopipe_dagster_tests.support.bad_pictures import (
    GOOD,
    SIZE,
    ground,
    hole_filled,
    jpeg,
    moved,
    mug,
    recoloured,
    repainted,
    see_through,
    with_halo,
)


def measured(photo: bytes, png: bytes | None = None) -> CutoutNumbers:
    cutout = CutoutPicture.from_rgba(decode_cutout(png or border_cut_out(photo)))
    return measure_cutout(View.of(photo, cutout), cutout)


def test_a_good_photo():
    numbers = measured(GOOD)
    assert 0.2 < numbers.area < 0.3
    assert (numbers.frame, numbers.sides) == (0, 0)
    assert 250 < numbers.side < 300
    assert numbers.softness < 3
    assert numbers.halo < 0.05
    assert numbers.recoloured < 0.5
    assert numbers.changed == 0
    assert (numbers.pieces, numbers.holes) == (1, 1)
    assert numbers.specks == 0
    assert numbers.blur < 1
    assert numbers.blown == 0


@pytest.mark.parametrize("sigma", [2.0, 3.0, 5.0, 8.0])
def test_blur_is_the_sigma_of_the_photo(sigma: float):
    """On a plain product, whose outline is its only edge, so that nothing else is measured."""
    drawn = mug(ground(), stripes=0)
    blurred = np.asarray(cv2.GaussianBlur(drawn, (0, 0), sigma), np.uint8)
    assert measured(jpeg(blurred)).blur == pytest.approx(sigma, rel=0.25)


def test_a_photo_that_is_nothing_but_blur_is_no_sharp_one():
    blurred = np.asarray(cv2.GaussianBlur(mug(ground()), (0, 0), 25), np.uint8)
    assert measured(jpeg(blurred)).blur == 20


def test_a_smooth_product_is_not_blurred():
    rgb = ground()
    cv2.circle(rgb, (SIZE // 2, SIZE // 2), SIZE // 4, (120, 90, 160), -1, cv2.LINE_AA)
    assert measured(jpeg(rgb)).blur < 1


def test_noise_does_not_hide_a_blur():
    blurred = cv2.GaussianBlur(mug(ground()), (0, 0), 6).astype(np.float32)
    noise = np.random.default_rng(1).normal(0, 6, blurred.shape)
    noisy = np.clip(blurred + noise, 0, 255).astype(np.uint8)
    assert measured(jpeg(noisy)).blur > 3


def test_a_product_without_any_edge_has_no_blur_to_be_measured():
    rgb = np.full((SIZE, SIZE, 3), 200, np.uint8)
    rgba = np.dstack((rgb, np.zeros((SIZE, SIZE), np.uint8)))
    cv2.circle(alpha := np.ascontiguousarray(rgba[..., 3]), (240, 240), 90, 255, -1)
    rgba[..., 3] = alpha
    cutout = CutoutPicture.from_rgba(rgba)
    assert measure_cutout(View.of(jpeg(rgb), cutout), cutout).blur is None


def test_a_larger_photo_of_the_same_measures_the_same():
    large = np.asarray(cv2.resize(mug(ground()), None, fx=5, fy=5), np.uint8)
    small, numbers = measured(GOOD), measured(jpeg(large))
    assert numbers.side == pytest.approx(5 * small.side, rel=0.02)
    assert numbers.area == pytest.approx(small.area, rel=0.02)
    assert numbers.softness < 6
    assert (numbers.pieces, numbers.holes, numbers.frame) == (1, 1, 0)
    assert numbers.halo < 0.05


def test_a_cut_out_in_another_size_than_its_photo_is_compared_all_the_same():
    rgba = decode_cutout(border_cut_out(GOOD))
    smaller = np.asarray(cv2.resize(rgba, (300, 300), interpolation=cv2.INTER_AREA), np.uint8)
    cutout = CutoutPicture.from_rgba(smaller)
    numbers = measure_cutout(View.of(GOOD, cutout), cutout)
    assert numbers.recoloured < 1.5
    assert numbers.changed < 0.005
    assert numbers.area == pytest.approx(measured(GOOD).area, rel=0.02)


def test_faults_of_a_provider():
    assert measured(GOOD, with_halo(GOOD)).halo > 0.9
    assert measured(GOOD, recoloured(GOOD)).recoloured > 20
    assert measured(GOOD, see_through(GOOD)).softness > 20
    assert measured(GOOD, hole_filled(GOOD)).holes == 0


def test_a_product_that_was_repainted_in_part_is_changed():
    """In its own colours, so that their median says nothing."""
    numbers = measured(GOOD, repainted(GOOD))
    assert numbers.recoloured < 0.5
    assert 0.08 < numbers.changed < 0.4


def test_a_product_that_was_moved_is_changed():
    numbers = [measured(GOOD, moved(GOOD, pixels)).changed for pixels in (1, 6, 20)]
    assert numbers[0] < 0.01 < numbers[1] < numbers[2]
    assert numbers[2] > 0.08


def test_compression_and_a_little_more_light_change_nothing():
    rgba = decode_cutout(border_cut_out(GOOD)).copy()
    settings = [cv2.IMWRITE_JPEG_QUALITY, 60]
    lossy = cv2.imdecode(cv2.imencode(".jpg", rgba[..., :3], settings)[1], cv2.IMREAD_COLOR)
    for rgb in (lossy, np.clip(rgba[..., :3] * 1.06, 0, 255).astype(np.uint8)):
        cutout = CutoutPicture.from_rgba(np.dstack((rgb, rgba[..., 3])))
        assert measure_cutout(View.of(GOOD, cutout), cutout).changed < 0.01


def checks(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where((x // 3 + y // 3) % 2, 255, 0)[..., None] * np.ones(3)


def stripes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (127 + 100 * np.sin(2 * np.pi * (x + 0 * y) / 4.3))[..., None] * np.ones(3)


def red_and_blue(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where(((x + 0 * y) // 3 % 2 == 1)[..., None], (0, 0, 255), (255, 0, 0))


def grain(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).normal(128, 60, (y.size, x.size, 3))


FINE = [
    (grain, 2048),
    (checks, 2048),
    (checks, 2150),
    (stripes, 2048),
    (stripes, 2150),
    (red_and_blue, 1500),
    (red_and_blue, 2150),
    (red_and_blue, 3000),
]
"""Textures of a few pixels' period, in sizes that are decoded and shrunk in different ways."""


@pytest.mark.parametrize(("texture", "side"), FINE)
def test_a_fine_texture_is_no_fault(texture, side: int):
    """The cut-out has the photo's own pixels."""
    drawn = texture(np.arange(side)[None], np.arange(side // 2)[:, None])
    photo = encode_jpeg(np.clip(drawn, 0, 255).astype(np.uint8))
    rgb = decode_rgb(photo)
    alpha = np.zeros(rgb.shape[:2], np.uint8)
    cv2.ellipse(alpha, (side // 2, side // 4), (side // 3, side // 6), 0, 0, 360, 255, -1)
    cutout = CutoutPicture.from_rgba(np.dstack((rgb, alpha)))
    numbers = measure_cutout(View.of(photo, cutout), cutout)
    assert numbers.changed < 0.03
    assert numbers.recoloured < 5


@pytest.mark.parametrize("side", [1024, 1500, 2048])
def test_colours_of_a_thin_product_are_compared_where_it_is_seen(side: int):
    """Of a wire, no pixel is opaque from afar; whatever is clear in the cut-out is black."""
    photo = np.full((side, side, 3), 230, np.uint8)
    alpha = np.zeros((side, side), np.uint8)
    width = 3 * side // 1024
    cv2.circle(alpha, (side // 2, side // 2), side * 9 // 20, 255, width)
    photo[alpha > 0] = (200, 160, 40)
    rgba = np.dstack((np.where(alpha[..., None] > 0, photo, 0), alpha)).astype(np.uint8)
    blue = np.ascontiguousarray(rgba[..., [2, 1, 0, 3]])
    same, other = (CutoutPicture.from_rgba(each) for each in (rgba, blue))
    file = encode_jpeg(photo, full_colour=True)
    assert measure_cutout(View.of(file, same), same).recoloured < 2.5
    assert measure_cutout(View.of(file, other), other).recoloured > 20


def test_a_painted_glow_is_a_halo():
    rgba = decode_cutout(border_cut_out(GOOD)).copy()
    rgba[..., :3] = decode_rgb(GOOD)
    solid = (rgba[..., 3] > 127).astype(np.uint8)
    grown = cv2.dilate(solid, np.ones((9, 9), np.uint8))
    rgba[(grown > 0) & (solid == 0)] = (0, 255, 80, 255)
    cutout = CutoutPicture.from_rgba(rgba)
    assert measure_cutout(View.of(GOOD, cutout), cutout).halo > 0.9


def test_specks_are_counted_by_their_area():
    rgba = decode_cutout(border_cut_out(GOOD)).copy()
    rgba[..., :3] = decode_rgb(GOOD)
    for place in range(20, 460, 40):
        rgba[place : place + 8, 20:28, 3] = 255
    cutout = CutoutPicture.from_rgba(rgba)
    numbers = measure_cutout(View.of(GOOD, cutout), cutout)
    share = 11 * 64 / ((rgba[..., 3] > 127).sum())
    assert numbers.specks == pytest.approx(share, rel=0.2)
    assert numbers.pieces == 1


def test_a_pair_that_stands_together_is_one_product():
    near, far = (
        measured(jpeg(mug(mug(ground(), 0.3, scale=0.5), x, scale=0.5))) for x in (0.61, 0.75)
    )
    assert (near.pieces, far.pieces) == (1, 2)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (1, 400), (2000, 3)])
def test_the_smallest_pictures_can_be_measured(size: tuple[int, int]):
    rgb = np.full((*size, 3), 90, np.uint8)
    rgba = np.dstack((rgb, np.full(size, 255, np.uint8)))
    cutout = CutoutPicture.from_rgba(rgba)
    numbers = measure_cutout(View.of(jpeg(rgb), cutout), cutout)
    assert (numbers.area, numbers.frame, numbers.sides) == (1, 1, 4)


def test_a_haze_can_be_measured():
    rgba = np.full((50, 60, 4), 20, np.uint8)
    cutout = CutoutPicture.from_rgba(rgba)
    numbers = measure_cutout(View.of(jpeg(rgba[..., :3]), cutout), cutout)
    assert numbers.pieces == 0
    assert numbers.area < 0.1


def test_a_picture():
    rgb = mug(ground())
    numbers = measure_picture(encode_jpeg(rgb), colours=0.5, worst_colours=2.0)
    assert (numbers.width, numbers.height, numbers.srgb) == (SIZE, SIZE, True)
    assert numbers.bytes == len(encode_jpeg(rgb))
    assert (numbers.colours, numbers.worst_colours, numbers.second_product) == (0.5, 2.0, None)
    assert (numbers.scale, numbers.firmness, numbers.steepness) == (None, None, None)
    numbers = measure_picture(encode_jpeg(rgb), scale=1.5, firmness=0.9, steepness=50.0)
    assert (numbers.scale, numbers.firmness, numbers.steepness) == (1.5, 0.9, 50.0)


def test_a_picture_without_a_profile_is_not_srgb():
    assert not measure_picture(jpeg(ground())).srgb


def test_what_is_no_picture_cannot_be_measured():
    with pytest.raises(PhotoRejectedError):
        measure_picture(b"nothing")
