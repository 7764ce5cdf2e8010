"""The product's pixels are never altered; the rest is scaled, placed and written right."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from photopipe_dagster.core.errors import CompositeError
from photopipe_dagster.imaging.composite import (
    CutoutPicture,
    Pose,
    Scene,
    compose,
    cover,
    encode_jpeg,
    placed,
)
from photopipe_dagster.imaging.light import Light
from photopipe_dagster.imaging.placement import Canvas, Placement, Spot
from photopipe_dagster.imaging.png import encode_cutout
from photopipe_dagster.imaging.stability import firmness
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster_tests.unit.imaging.silhouettes import CAN, CUP_ON_A_SAUCER, in_scene, seen

STUDIO = THEMES["default"].light
OUTDOORS = THEMES["outdoors"].light
LUXURY = THEMES["luxury"].light


def disc(side: int = 240, radius: float = 60, colour: tuple[int, ...] = (0, 0, 0)) -> np.ndarray:
    """A disc of noise (or of one colour) with a soft edge, in the middle of a picture."""
    rgba = np.random.default_rng(5).integers(0, 256, (side, side, 4), dtype=np.uint8)
    if any(colour):
        rgba[:, :, :3] = colour
    y, x = np.mgrid[:side, :side] + 0.5 - side / 2
    rgba[:, :, 3] = np.clip((radius - np.hypot(x, y)) * 64 + 128, 0, 255).astype(np.uint8)
    return rgba


def picture(width: int = 240, height: int = 240, kind: str = "PNG", **options: object) -> bytes:
    y, x = np.mgrid[:height, :width]
    planes = (x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height))
    file = io.BytesIO()
    Image.fromarray(np.dstack(planes).astype(np.uint8)).save(file, kind, **options)
    return file.getvalue()


def opened(jpeg: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(jpeg))
    image.load()
    return image


@pytest.mark.parametrize("light", [None, STUDIO, OUTDOORS, LUXURY])
def test_opaque_pixels_of_the_product_are_exactly_the_cutout_s(light: Light | None) -> None:
    rgba = disc()
    lit = in_scene(CutoutPicture.from_rgba(rgba), cover(picture(), 240, 240), light)
    opaque = rgba[:, :, 3] == 255
    assert opaque.sum() > 10_000
    assert np.array_equal(lit[opaque], rgba[opaque][:, :3])


def test_soft_pixels_are_mixed_and_clear_ones_are_the_scene_s() -> None:
    rgba, scene = disc(), cover(picture(), 240, 240)
    share = rgba[:, :, 3:] / 255
    expected = rgba[:, :, :3] * share + scene * (1 - share)
    lit = in_scene(CutoutPicture.from_rgba(rgba), scene, None)
    assert np.abs(lit - expected).max() <= 0.51
    assert np.array_equal(lit[rgba[:, :, 3] == 0], scene[rgba[:, :, 3] == 0])


def test_a_cutout_keeps_its_box_only() -> None:
    rgba = np.zeros((50, 80, 4), np.uint8)
    rgba[10:20, 30:70] = (1, 2, 3, 255)
    cutout = CutoutPicture.from_png(encode_cutout(rgba))
    assert cutout.box == (30, 10, 70, 20)
    assert cutout.rgb.shape == (10, 40, 3)
    assert (cutout.width, cutout.height) == (80, 50)
    assert cutout.coverage == pytest.approx(400 / 4000)
    assert np.array_equal(cutout.rgba(), rgba[10:20, 30:70])


@pytest.mark.parametrize("haze", [0, 5])
def test_an_empty_cutout_is_no_product(haze: int) -> None:
    with pytest.raises(CompositeError, match="empty"):
        CutoutPicture.from_rgba(np.full((20, 20, 4), haze, np.uint8))


def test_the_composite_is_a_tagged_jpeg_of_the_cutout_s_size() -> None:
    cutout = CutoutPicture.from_rgba(disc())
    made = compose(cutout, picture(), Scene(light=STUDIO))
    image = opened(made.jpeg)
    assert (image.format, image.size, image.mode) == ("JPEG", (240, 240), "RGB")
    assert (made.width, made.height, made.box) == (240, 240, cutout.box)
    assert made.pose is Pose.STANDS
    assert made.coverage == pytest.approx(np.pi * 60**2 / 240**2, rel=0.01)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
    lit = in_scene(cutout, cover(picture(), 240, 240), STUDIO)
    smooth = np.asarray(image).astype(int)[:60]
    assert np.abs(smooth - lit[:60]).mean() < 1.5
    assert compose(cutout, picture(), Scene(light=None)).pose is Pose.LOOSE


def test_the_same_inputs_give_the_same_bytes() -> None:
    digests = {
        hashlib.sha256(
            compose(CutoutPicture.from_rgba(disc()), picture(), Scene(light=LUXURY)).jpeg
        ).hexdigest()
        for _ in range(3)
    }
    assert len(digests) == 1


def test_the_profile_has_no_time_of_its_making() -> None:
    profile = opened(encode_jpeg(np.zeros((8, 8, 3), np.uint8))).info["icc_profile"]
    assert profile[24:36] == b"\x07\xe4\0\1\0\1\0\0\0\0\0\0"


@pytest.mark.parametrize(("colour", "full"), [((230, 20, 20), True), ((120, 120, 118), False)])
def test_colourful_edges_get_full_colour_resolution(colour: tuple[int, ...], full: bool) -> None:
    made = compose(CutoutPicture.from_rgba(disc(colour=colour)), picture(), Scene(light=None))
    assert made.full_colour is full
    sampling = {layer[1:3] for layer in opened(made.jpeg).layer}
    assert sampling == ({(1, 1)} if full else {(2, 2), (1, 1)})


@pytest.mark.parametrize(
    ("size", "kind"),
    [
        ((480, 480), "JPEG"),
        ((640, 240), "JPEG"),
        ((240, 700), "PNG"),
        ((60, 90), "WEBP"),
        ((241, 240), "PNG"),
        ((2000, 1000), "JPEG"),
    ],
)
def test_a_background_of_any_size_covers(size: tuple[int, int], kind: str) -> None:
    made = cover(picture(*size, kind=kind), 240, 240)
    assert made.shape == (240, 240, 3)
    # The middle of the picture stays in the middle, and one side is seen whole.
    assert made[120, 120].astype(int) == pytest.approx([127, 127, 127], abs=6)
    spans = [np.ptp(made[:, :, 0].astype(int)), np.ptp(made[:, :, 1].astype(int))]
    assert max(spans) >= 240


def test_a_background_s_orientation_counts() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = cover(picture(kind="JPEG", exif=exif), 240, 240).astype(int)
    assert turned[10, 230, 0] < 40
    assert turned[230, 230, 0] > 200


def test_a_background_that_cannot_be_read_is_named() -> None:
    cutout = CutoutPicture.from_rgba(disc())
    with pytest.raises(CompositeError, match=r"background.*web page"):
        compose(cutout, b"<html>", Scene(light=None))
    with pytest.raises(CompositeError, match=r"background.*ends before"):
        compose(cutout, picture(kind="JPEG")[:-200], Scene(light=None))


def test_what_is_too_large_is_shrunk() -> None:
    rgba = np.zeros((200, 5000, 4), np.uint8)
    rgba[50:150, 1000:4000] = (200, 100, 50, 255)
    made = compose(CutoutPicture.from_rgba(rgba), picture(500, 200), Scene(light=None))
    assert (made.width, made.height) == (4472, 178)
    assert opened(made.jpeg).size == (4472, 178)
    assert made.box[0] == pytest.approx(1000 * 4472 / 5000, abs=2)
    assert made.box[2] == pytest.approx(4000 * 4472 / 5000, abs=2)


def test_scaling_does_not_draw_the_colour_of_clear_pixels_in() -> None:
    rgba = np.zeros((200, 200, 4), np.uint8)
    rgba[:, :] = (0, 255, 0, 0)  # green, but clear
    rgba[60:140, 60:140] = (200, 0, 100, 255)
    small = placed(CutoutPicture.from_rgba(rgba), Spot(90, 90, 0.45, 0.45, 0, 0))
    assert small.rgb[small.alpha > 40][:, 1].max() <= 12
    assert small.coverage == pytest.approx(0.16, rel=0.02)
    assert small.box == (27, 27, 63, 63)


def test_another_shape_has_the_cutout_in_its_middle() -> None:
    made = compose(
        CutoutPicture.from_rgba(disc()),
        picture(),
        Scene(light=STUDIO, canvas=Canvas(400, 200, True)),
    )
    assert opened(made.jpeg).size == (400, 200)
    left, top, right, bottom = made.box
    assert (left + right) / 2 == pytest.approx(200, abs=1)
    assert (top + bottom) / 2 == pytest.approx(100, abs=1)
    assert right - left == pytest.approx(124 * 200 / 240, abs=2)
    assert made.scale == pytest.approx(200 / 240)
    larger = compose(
        CutoutPicture.from_rgba(disc()),
        picture(),
        Scene(light=None, canvas=Canvas(480, 480, True), placement=Placement(max_scale=2)),
    )
    assert larger.box[2] - larger.box[0] == pytest.approx(248, abs=3)


def test_a_product_that_is_only_moved_keeps_its_pixels() -> None:
    cutout = CutoutPicture.from_rgba(disc())
    moved = placed(cutout, Spot(300, 260, 1, 1, 41, 20))
    assert moved.box == (cutout.box[0] + 41, cutout.box[1] + 20, cutout.box[2] + 41, 202)
    assert (moved.width, moved.height) == (300, 260)
    assert np.array_equal(moved.rgba(), cutout.rgba())
    cut = placed(cutout, Spot(200, 200, 1, 1, -70, 0))
    assert cut.box == (0, cutout.box[1], cutout.box[2] - 70, cutout.box[3])
    assert np.array_equal(cut.rgba(), cutout.rgba()[:, 70 - cutout.box[0] :])
    assert placed(cutout, Spot(240, 240, 1, 1, 0, 0)) is cutout


def test_haze_is_no_part_of_the_product() -> None:
    rgba = disc()
    rgba[20:40, 10:30, 3] = 5
    cutout = CutoutPicture.from_rgba(rgba)
    clean = cutout.without_haze()
    assert cutout.box[:2] == (10, 20)
    assert cutout.visible_box == clean.box == (58, 58, 182, 182)
    assert ((clean.alpha == 0) | (clean.alpha >= 8)).all()
    assert np.array_equal(clean.rgba(), CutoutPicture.from_rgba(disc()).without_haze().rgba())


def test_a_product_cut_off_by_the_frame_stays_so_when_it_is_scaled() -> None:
    rgba = np.zeros((300, 300, 4), np.uint8)
    rgba[100:, 50:250] = (90, 80, 70, 255)
    for side in (210, 450):
        scale = side / 300
        spot = Spot(side, side, scale, scale, 0, 0)
        scaled = placed(CutoutPicture.from_rgba(rgba), spot)
        assert scaled.box[3] == side
        assert (scaled.alpha[-1, 5:-5] == 255).all()
        assert not scaled.stands


def askew(side: int = 240) -> np.ndarray:
    """A sheet on its corner."""
    y, x = np.mgrid[:side, :side] - side // 2
    rgba = np.full((side, side, 4), 90, np.uint8)
    rgba[:, :, 3] = np.where(np.abs(x) + np.abs(y) < 70, 255, 0)
    return rgba


def from_above(degrees: float) -> np.ndarray:
    """A cup on its saucer."""
    rgba = np.full((240, 240, 4), 90, np.uint8)
    alpha = seen(CUP_ON_A_SAUCER, degrees, 160)
    rgba[:, :, 3] = 0
    rgba[40 : 40 + alpha.shape[0], 40 : 40 + alpha.shape[1], 3] = alpha
    return rgba


@pytest.mark.parametrize(
    ("rgba", "lies", "light", "pose"),
    [
        (disc(), False, STUDIO, Pose.STANDS),
        (disc(), False, OUTDOORS, Pose.STANDS),
        (askew(), False, STUDIO, Pose.RESTS),
        (askew(), False, OUTDOORS, Pose.RESTS),
        (askew(), True, STUDIO, Pose.LIES),
        (askew(), True, OUTDOORS, Pose.FLOATING),
        (askew(), False, None, Pose.LOOSE),
        (disc(), True, STUDIO, Pose.LIES),
        (disc(), True, OUTDOORS, Pose.FLOATING),
        (disc(), True, None, Pose.LOOSE),
        (disc()[:150], True, STUDIO, Pose.LOOSE),
        (from_above(50), False, STUDIO, Pose.FROM_ABOVE),
        (from_above(50), False, OUTDOORS, Pose.STANDS),
        (from_above(50), False, None, Pose.LOOSE),
        (from_above(50), True, STUDIO, Pose.LIES),
        (from_above(50), True, OUTDOORS, Pose.FLOATING),
        (from_above(15), False, STUDIO, Pose.STANDS),
        (from_above(15), False, OUTDOORS, Pose.STANDS),
    ],
)
def test_the_pose_follows_from_the_outline_and_the_ground(
    rgba: np.ndarray, lies: bool, light: Light | None, pose: Pose
) -> None:
    cutout = CutoutPicture.from_rgba(np.ascontiguousarray(rgba))
    made = compose(cutout, picture(), Scene(light=light, lies=lies))
    assert made.pose is pose
    if pose is Pose.LOOSE:
        assert made.firmness is None
    else:
        assert (made.firmness < 1) == (rgba.tobytes() == askew().tobytes())


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
def test_how_steeply_it_is_seen_is_known_at_every_scale(scale: float) -> None:
    cutout = CutoutPicture.from_rgba(from_above(50))
    side = round(240 * scale)
    canvas = Canvas(side, side, fixed=True)
    whole = Placement(share=0.6, max_scale=4)
    for light in (STUDIO, OUTDOORS):
        made = compose(cutout, picture(), Scene(light=light, placement=whole, canvas=canvas))
        assert made.steepness == pytest.approx(50, abs=3)
    assert compose(cutout, picture(), Scene(light=None)).steepness is None
    assert compose(cutout, picture(), Scene(light=STUDIO, lies=True)).steepness is None
    assert (
        compose(CutoutPicture.from_rgba(disc()), picture(), Scene(light=STUDIO)).steepness is None
    )


def test_a_bottle_seen_from_above_stands_however_pointed_it_looks() -> None:
    alpha = seen([piece * np.array([1, 1, 2.5]) for piece in CAN], 50, 700)
    rgba = np.full((800, 480, 4), 90, np.uint8)
    rgba[:, :, 3] = 0
    rgba[60 : 60 + alpha.shape[0], 120 : 120 + alpha.shape[1], 3] = alpha
    cutout = CutoutPicture.from_rgba(rgba)
    assert firmness(cutout.alpha) < 1
    for light, pose in ((STUDIO, Pose.FROM_ABOVE), (OUTDOORS, Pose.STANDS)):
        made = compose(cutout, picture(480, 800), Scene(light=light))
        assert (made.pose, made.firmness) == (pose, 1)
        assert made.steepness == pytest.approx(50, abs=3)
