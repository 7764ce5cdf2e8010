"""The network on drawn photos."""

import cv2
import numpy as np
import pytest

from photopipe_dagster.core.errors import ConfigurationError, ErrorCode, ProviderError
from photopipe_dagster.imaging.segmentation import cutout
from photopipe_dagster.imaging.segmentation.cutout import (
    CutoutModel,
    Saliency,
    cut_out,
    product_box,
)
from photopipe_dagster_tests.unit.providers.local import drawn


class Scripted:
    """Answers looks with prepared maps, and remembers what it was shown."""

    def __init__(self, *answers: Saliency) -> None:
        self._answers = list(answers)
        self.shown: list[tuple[int, ...]] = []

    def saliency(self, rgb):
        self.shown.append(rgb.shape)
        return self._answers.pop(0)


def alpha_of(made):
    return made.rgba[..., 3].astype(np.float32) / 255


def disc(radius, centre=(160, 160)):
    seen = np.zeros((320, 320), np.float32)
    cv2.circle(seen, centre, radius, 1.0, -1)
    return seen


def test_a_mug_is_cut_out_without_its_shadow_and_with_an_open_handle(model):
    truth = drawn.shape(drawn.mug)
    rgb = drawn.photo(truth, (30, 60, 140), drawn.studio(), shadow=True)
    made = cut_out(model, rgb)
    alpha = alpha_of(made)
    assert made.rgba.shape == (*rgb.shape[:2], 4)
    assert made.rgba.dtype == np.uint8
    assert drawn.iou(alpha, truth) > 0.985
    assert not alpha[480:].any()
    assert (alpha[285:315, 415:440] < 0.1).all()
    assert made.raw_maximum > 0.5
    assert made.coverage == pytest.approx(truth.mean(), rel=0.03)


def test_pixels_of_the_product_are_the_photos(model):
    truth = drawn.shape(drawn.mug)
    rgb = drawn.photo(truth, (30, 60, 140), drawn.studio())
    rgba = cut_out(model, rgb).rgba
    opaque = rgba[..., 3] == 255
    assert opaque.mean() > 0.1
    np.testing.assert_array_equal(rgba[opaque][:, :3], rgb[opaque])
    assert not rgba[rgba[..., 3] == 0].any()


def test_white_on_white(model):
    truth = drawn.shape(drawn.mug)
    rgb = drawn.photo(truth, (252, 252, 250), drawn.studio(205), shadow=True)
    alpha = alpha_of(cut_out(model, rgb))
    assert drawn.iou(alpha, truth) > 0.985
    assert not alpha[480:].any()


def test_no_product_is_found_in_an_empty_picture(model):
    with pytest.raises(ProviderError, match="No product") as caught:
        cut_out(model, np.full((300, 400, 3), 240, np.uint8))
    assert caught.value.code is ErrorCode.SEGMENTATION_ERROR
    assert caught.value.retryable is False
    assert caught.value.details["raw_maximum"] < cutout.LEAST_RAW_MAXIMUM


def test_what_the_network_sees_is_stretched_from_0_to_1(model):
    rgb = drawn.photo(drawn.shape(drawn.mug), (30, 60, 140), drawn.studio())
    seen = model.saliency(rgb)
    assert seen.map.shape == (320, 320)
    assert seen.map.dtype == np.float32
    assert (seen.map.min(), seen.map.max()) == (0, 1)
    assert 0.5 < seen.raw_maximum <= 1.01


@pytest.mark.parametrize("shape", [(1, 1), (64, 2000), (70, 64)])
def test_any_size_can_be_looked_at(model, shape):
    seen = model.saliency(np.full((*shape, 3), 200, np.uint8))
    assert np.isfinite(seen.map).all()


def test_black_pictures_are_no_trouble(model):
    assert np.isfinite(model.saliency(np.zeros((64, 64, 3), np.uint8)).map).all()


def test_the_same_photo_gives_the_same_cut_out(model, model_path):
    rgb = drawn.photo(drawn.shape(drawn.mug), (30, 60, 140), drawn.studio())
    first = cut_out(model, rgb).rgba
    np.testing.assert_array_equal(first, cut_out(CutoutModel(model_path), rgb).rgba)


def test_a_file_that_is_no_model(tmp_path):
    path = tmp_path / "notes.onnx"
    path.write_text("not a network")
    with pytest.raises(ConfigurationError, match="CUTOUT_MODEL_PATH"):
        CutoutModel(path).saliency(np.zeros((8, 8, 3), np.uint8))


def test_the_box_holds_the_product_and_a_margin():
    box = product_box(disc(32), (640, 960))
    assert (box.top, box.bottom) == (204, 438)
    assert (box.left, box.right) == (306, 657)
    assert box.area == (438 - 204) * (657 - 306)


def test_the_box_holds_both_shoes_and_no_speck():
    seen = np.maximum(disc(32, (80, 160)), disc(32, (240, 160)))
    seen[0, 0] = 1
    box = product_box(seen, (320, 320))
    assert (box.left, box.right) == (0, 320)
    assert box.top > 80


def test_a_product_that_fills_the_frame_is_looked_at_whole_and_mirrored():
    rgb = drawn.studio().astype(np.uint8)
    seen = Scripted(Saliency(disc(150), 1.0), Saliency(disc(150), 1.0))
    cut_out(seen, rgb)
    assert seen.shown == [(600, 600, 3)] * 2


def test_a_small_product_is_looked_at_again_from_nearby():
    seen = Scripted(Saliency(disc(30), 1.0), Saliency(disc(90), 1.0), Saliency(disc(90), 1.0))
    made = cut_out(seen, drawn.studio().astype(np.uint8))
    whole, near, mirrored = seen.shown
    assert whole == (600, 600, 3)
    assert near[0] < 250
    assert near[1] < 250
    assert mirrored == near
    assert made.rgba.shape == (600, 600, 4)
    assert made.rgba[300, 300, 3] == 255


def test_a_witness_is_shown_the_product_from_nearby_and_not_mirrored():
    seen = Scripted(Saliency(disc(30), 1.0), Saliency(disc(90), 1.0))
    witness = Scripted(Saliency(disc(90, (162, 160)), 1.0))
    made = cut_out(seen, drawn.studio().astype(np.uint8), witness)
    assert witness.shown == seen.shown[1:]
    assert 0.9 < made.witness_iou < 1


def test_looks_that_see_nothing_are_not_believed():
    blind = Saliency(np.ones((320, 320), np.float32), 0.01)
    seen = Scripted(Saliency(disc(40), 1.0), blind, blind)
    made = cut_out(seen, drawn.studio().astype(np.uint8))
    assert made.coverage == pytest.approx(np.pi * (40 / 320) ** 2, rel=0.1)


def test_what_one_look_adds_is_not_there_and_what_one_misses_is():
    whole, near = disc(100), disc(100)
    whole[150:170, 270:290] = 1  # a prop
    near[:100] = 0  # a cap that is not seen
    box = product_box(whole, (320, 320))
    assert box.area == 320 * 320
    made = cut_out(
        Scripted(*(Saliency(each, 1.0) for each in (whole, disc(100, (159, 160)), closer()))),
        patched(),
        Scripted(Saliency(near, 1.0)),
    )
    assert drawn.iou(alpha_of(made), disc(100)) > 0.98
    assert 0.08 < made.disagreement < 1
    assert made.raw_iou < 0.999


def closer():
    """`disc(100)` with its prop, seen from as close as in doubt."""
    seen = disc(100)
    seen[150:170, 270:290] = 1
    box = product_box(seen, (320, 320), 0.15)
    return cv2.resize(np.ascontiguousarray(box.of(disc(100))), (320, 320))


def test_looks_that_agree_are_three_and_others_five():
    seen, other = Saliency(disc(100), 1.0), Saliency(disc(60), 1.0)
    for witness, looks in ((seen, 1), (other, 3)):
        model = Scripted(seen, seen, seen)
        cut_out(model, patched(), Scripted(witness))
        assert len(model.shown) == looks


@pytest.mark.parametrize("strength", [0.2, 0.4])
def test_mere_haze_is_no_product(strength):
    haze = Saliency(strength * disc(150), 0.5)
    with pytest.raises(ProviderError, match="No product"):
        cut_out(Scripted(haze, haze, haze), np.full((640, 640, 3), 200, np.uint8))


def patched(shape=(320, 320)):
    """A grey photo: no colour to go by."""
    return np.full((*shape, 3), 200, np.uint8)
