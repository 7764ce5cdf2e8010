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
from photopipe_dagster_tests.providers.local import drawn


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


def test_a_product_that_fills_the_frame_is_looked_at_once():
    rgb = drawn.studio().astype(np.uint8)
    seen = Scripted(Saliency(disc(150), 1.0))
    cut_out(seen, rgb)
    assert seen.shown == [(600, 600, 3)]


def test_a_small_product_is_looked_at_again_from_nearby():
    seen = Scripted(Saliency(disc(30), 1.0), Saliency(disc(90), 1.0))
    made = cut_out(seen, drawn.studio().astype(np.uint8))
    whole, near = seen.shown
    assert whole == (600, 600, 3)
    assert near[0] < 250
    assert near[1] < 250
    assert made.rgba.shape == (600, 600, 4)
    assert made.rgba[300, 300, 3] == 255


def test_a_second_look_that_sees_nothing_is_not_believed():
    blind = Saliency(np.ones((320, 320), np.float32), 0.01)
    made = cut_out(Scripted(Saliency(disc(40), 1.0), blind), drawn.studio().astype(np.uint8))
    assert made.coverage == pytest.approx(np.pi * (40 / 320) ** 2, rel=0.1)


@pytest.mark.parametrize("strength", [0.2, 0.4])
def test_mere_haze_is_no_product(strength):
    haze = Saliency(strength * disc(150), 0.5)
    with pytest.raises(ProviderError, match="No product"):
        cut_out(Scripted(haze, haze), np.full((640, 640, 3), 200, np.uint8))


def bottle(*, cap=1.0, body=1.0):
    """A large map of a bottle whose cap is set off from it by a ring of clear plastic."""
    seen = np.zeros((320, 320), np.float32)
    seen[20:60, 120:200] = cap
    seen[60:68, 120:200] = 0.2
    seen[68:310, 20:300] = body
    return Saliency(seen, 1.0)


def small(seen: Saliency, share=0.3):
    """What a look at the whole photo sees of it."""
    side = round(320 * share)
    whole = np.zeros((320, 320), np.float32)
    top = (320 - side) // 2
    shrunk = cv2.resize(seen.map, (side, side), interpolation=cv2.INTER_AREA)
    whole[top : top + side, top : top + side] = shrunk
    return Saliency(whole, seen.raw_maximum)


def mirrored(seen: Saliency):
    return Saliency(np.ascontiguousarray(seen.map[:, ::-1]), seen.raw_maximum)


def patched(shape=(320, 320)):
    """A grey photo: no colour to go by."""
    return np.full((*shape, 3), 200, np.uint8)


def test_two_looks_that_agree_are_enough():
    seen = Scripted(Saliency(disc(30), 1.0), Saliency(disc(90), 1.0), Saliency(disc(10), 1.0))
    cut_out(seen, drawn.studio().astype(np.uint8))
    assert len(seen.shown) == 2


def test_a_doubtful_half_is_looked_at_a_third_time_and_believed_in():
    doubt = disc(150)
    doubt[160:] *= 0.4
    alone = alpha_of(cut_out(Scripted(Saliency(doubt, 1.0), Saliency(doubt, 0.01)), patched()))
    assert alone[200:280, 130:190].max() == 0
    seen = Scripted(Saliency(doubt, 1.0), Saliency(disc(150), 1.0))
    alpha = alpha_of(cut_out(seen, patched()))
    assert len(seen.shown) == 2
    assert alpha[200:280, 130:190].min() == 1
    assert drawn.iou(alpha, disc(150)) > 0.98


def test_the_third_look_is_mirrored_and_darkened():
    class Keeping(Scripted):
        def saliency(self, rgb):
            self.last = rgb
            return super().saliency(rgb)

    rgb = patched()
    rgb[:, :10] = 100
    doubt = Saliency(disc(150) * 0.6, 1.0)
    seen = Keeping(doubt, doubt)
    cut_out(seen, rgb)
    assert (seen.last[:, -10:] == round(100 * 100 / 255)).all()
    assert (seen.last[:, :-10] == round(200 * 200 / 255)).all()


def test_a_cap_that_only_one_look_saw_is_kept_and_does_not_hover():
    near = bottle(cap=0.0)
    near.map[60:68] = 0
    third = mirrored(bottle(cap=0.4))
    box = product_box(small(bottle()).map, (960, 960))
    made = cut_out(Scripted(small(bottle()), near, third), patched((960, 960)))
    alpha = alpha_of(made)
    height, width = box.bottom - box.top, box.right - box.left
    # The first look's cap, wherever it is in the frame, and the body of the near look.
    assert made.coverage > (near.map.mean() * height * width) / 960**2
    pieces, _ = cv2.connectedComponents((alpha > 0.5).astype(np.uint8))
    assert pieces == 2


@pytest.mark.parametrize(("hint", "joined"), [(0.2, True), (0.0, False)])
def test_a_gap_is_closed_only_where_a_look_hints_at_something(hint, joined):
    plain = bottle(cap=0.0).map.copy()
    plain[60:68] = 0
    third = bottle().map.copy()
    third[60:68] = hint * (third[60:68] > 0)
    doubt = plain.copy()
    doubt[100:160, 40:280] = 0.5
    alpha = alpha_of(cut_out(Scripted(Saliency(doubt, 1.0), Saliency(third, 1.0)), patched()))
    assert alpha[30:50, 130:190].min() == 1
    assert bool((alpha[64, 140:180] > 0.5).all()) is joined


def test_things_that_lie_side_by_side_are_not_joined():
    pair = np.zeros((320, 320), np.float32)
    pair[20:300, 10:156] = pair[20:300, 164:310] = 1
    hinted = pair.copy()
    hinted[20:300, 156:164] = 0.3
    doubt = pair.copy()
    doubt[200:290, 20:140] = 0.5
    seen = Scripted(Saliency(doubt, 1.0), mirrored(Saliency(hinted, 1.0)))
    alpha = alpha_of(cut_out(seen, patched()))
    assert len(seen.shown) == 2
    assert (alpha[40:280, 160] < 0.5).all()
