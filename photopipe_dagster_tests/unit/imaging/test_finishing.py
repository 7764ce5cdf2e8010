"""Pictures are measured on their bytes, made again where that helps, and refused where not."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from photopipe_dagster.core.errors import CompositeError
from photopipe_dagster.imaging import finishing
from photopipe_dagster.imaging.composite import CutoutPicture, Pose, Scene, encode_jpeg
from photopipe_dagster.imaging.finishing import FinalBytes, Finished, finish, shortcomings
from photopipe_dagster.imaging.marketplace import Rules
from photopipe_dagster.imaging.placement import Canvas, Placement
from photopipe_dagster.imaging.provenance import SourceType, xmp_packet
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster.themes.model import Theme

STUDIO = THEMES["default"].light
OUTDOORS = THEMES["outdoors"].light
AMAZON_MAIN = THEMES["amazon-main"].rules
GOOGLE = THEMES["google"].rules

PRESETS = [theme for theme in THEMES.values() if theme.rules is not None]


def mug(side: int = 400, haze: int = 0, printed: bool = True) -> CutoutPicture:
    """A bluish mug's body with a print, or a bare grey one; pixels of the photo's side."""
    rng = np.random.default_rng(11)
    rgba = np.zeros((side, side, 4), np.uint8)
    rgba[:, :, 3] = haze
    left, right, top, bottom = (round(side * share) for share in (0.3, 0.62, 0.35, 0.75))
    colour = np.linspace(60, 150, right - left)[None, :, None] + np.array([0, 8, 25]) * printed
    body = np.repeat(colour, bottom - top, axis=0)
    body += rng.normal(0, 1, body.shape)
    rgba[top:bottom, left:right, :3] = np.clip(body, 0, 255)
    rgba[top:bottom, left:right, 3] = 255
    if printed:
        lettering = np.ascontiguousarray(rgba[:, :, :3])
        place = (left + side // 40, (top + bottom) // 2)
        cv2.putText(lettering, "mug", place, cv2.FONT_HERSHEY_DUPLEX, side / 250, (240, 90, 35), 2)
        rgba[:, :, :3] = lettering
    rgba[:, :, 3] = np.maximum(haze, cv2.GaussianBlur(rgba[:, :, 3], (0, 0), 1.2))
    return CutoutPicture.from_rgba(rgba)


def scene(width: int = 400, height: int = 400) -> bytes:
    ramp = np.linspace(120, 220, width, dtype=np.float32)[None, :, None]
    return encode_jpeg(np.broadcast_to(ramp, (height, width, 3)).astype(np.uint8), quality=95)


def white(width: int = 1200, height: int = 1200) -> bytes:
    return encode_jpeg(np.full((height, width, 3), 255, np.uint8))


def sold_as(theme: Theme, cutout: CutoutPicture) -> Finished:
    return finish(
        cutout,
        white(),
        Scene(light=theme.light, placement=theme.placement, canvas=Canvas.parse(theme.canvas)),
        rules=theme.rules,
    )


def pixels(made: Finished) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(made.composite.jpeg)), np.uint8)


def test_the_proof_comes_with_the_picture() -> None:
    made = finish(mug(), scene(), Scene(light=STUDIO))
    assert made.fidelity.median <= 1.1
    assert made.fidelity.p99 <= 4
    assert made.fidelity.structure > 0.95
    assert made.fidelity.edges > 0.97
    final = made.final
    assert (final.width, final.height, final.size) == (400, 400, len(made.composite.jpeg))
    assert final.srgb
    assert (final.white, final.fringe) == (None, None)
    assert final.frame_share == made.composite.frame_share == pytest.approx(0.41, abs=0.01)
    assert made.composite.scale == 1


def test_the_smallest_setting_that_is_faithful_is_taken() -> None:
    calm, lively = (
        finish(mug(printed=printed), scene(), Scene(light=None)).composite
        for printed in (False, True)
    )
    assert (calm.quality, calm.full_colour) == (90, False)
    assert (lively.quality, lively.full_colour) > (90, False)


def test_where_none_is_faithful_it_is_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finishing, "MAX_P99", 0.01)
    made = finish(mug(), scene(), Scene(light=None))
    assert (made.composite.quality, made.composite.full_colour) == (98, True)
    assert made.fidelity.p99 > 0


def test_a_larger_file_that_is_no_better_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finishing, "MAX_P99", 0.01)
    made = finish(mug(printed=False), scene(), Scene(light=None))  # only noise: no setting helps
    assert (made.composite.quality, made.composite.full_colour) == (90, False)


def test_the_same_inputs_give_the_same_bytes() -> None:
    xmp = xmp_packet(SourceType.COMPOSITE, "MUG-1, outdoors")
    made = [
        finish(mug(), scene(), Scene(light=OUTDOORS, tone_match=True), xmp=xmp).composite.jpeg
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert xmp in made[0]


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
@pytest.mark.parametrize("haze", [0, 6])
def test_presets_keep_the_rules_on_the_final_bytes(preset: Theme, haze: int) -> None:
    rules = preset.rules
    assert rules is not None
    made = sold_as(preset, mug(500, haze))
    picture = pixels(made)
    height, width = picture.shape[:2]
    assert max(width, height) >= rules.min_side
    assert len(made.composite.jpeg) <= rules.max_bytes
    assert rules.least_share <= made.final.frame_share <= rules.most_share
    border = [picture[:4], picture[-4:], picture[:, :4], picture[:, -4:]]
    assert all((side == 255).all() for side in border)
    if rules.white == "ground":
        left, top, right, bottom = made.composite.box
        outside = np.ones((height, width), bool)
        outside[top - 18 : bottom + 18, left - 18 : right + 18] = False
        assert (picture[outside] == 255).all()
        assert made.composite.pose is Pose.LOOSE
        dark = np.argwhere(picture.min(axis=2) < 250)
        assert np.ptp(dark, axis=0).max() / height >= rules.least_share - 0.01


def test_a_product_that_spans_too_little_is_placed_again() -> None:
    placement = Placement(share=0.5, min_side=1600)
    canvas = Canvas(1600, 1600, True)
    made = finish(
        mug(), white(), Scene(light=None, placement=placement, canvas=canvas), rules=AMAZON_MAIN
    )
    assert 0.85 <= made.final.frame_share < 0.9


def test_one_that_spans_too_much_as_well() -> None:
    placement = Placement(share=0.99, max_scale=4)
    canvas = Canvas(1000, 1000, True)
    made = finish(
        mug(), white(), Scene(light=None, placement=placement, canvas=canvas), rules=GOOGLE
    )
    assert 0.8 < made.final.frame_share <= 0.9


def test_a_shadow_that_reaches_the_border_makes_the_product_smaller() -> None:
    preset = THEMES["shopify-square"]
    rgba = np.zeros((400, 400, 4), np.uint8)
    rgba[40:360, 20:380] = (60, 90, 120, 255)  # a cushion: wide, and touching all along its base
    made = sold_as(preset, CutoutPicture.from_rgba(rgba))
    assert preset.placement.share is not None
    assert made.final.frame_share < preset.placement.share
    assert made.final.white == 1


@pytest.mark.parametrize(
    ("rules", "placement", "number"),
    [
        (AMAZON_MAIN, Placement(), r"the product spans 4\d\.\d% of the frame, not 85%"),
        (
            Rules("Shop", 0.1, 1.0, 5000, 10**7, "border"),
            Placement(),
            "its longer side is 400 pixels, not 5000",
        ),
        (Rules("Shop", 0.1, 1.0, 100, 999, "border"), Placement(), "bytes, more than 999"),
    ],
)
def test_what_cannot_be_kept_fails_with_its_number(
    rules: Rules, placement: Placement, number: str
) -> None:
    with pytest.raises(CompositeError, match=number) as refused:
        finish(mug(), white(), Scene(light=None, placement=placement), rules=rules)
    assert rules.name in refused.value.message
    assert len(refused.value.details["missed"]) >= 1


def test_a_ground_that_is_not_white_is_refused() -> None:
    grey = encode_jpeg(np.full((400, 400, 3), 254, np.uint8), quality=98)
    rules = Rules("Shop", 0.1, 1.0, 100, 10**7, "ground")
    with pytest.raises(CompositeError, match=r"only 0\.000% of the ground is pure white"):
        finish(mug(), grey, Scene(light=None), rules=rules)


def test_every_number_that_falls_short_is_named() -> None:
    final = FinalBytes(700, 500, 20_000_000, False, 0.5, 200, 0.6)
    missed = shortcomings(final, AMAZON_MAIN)
    words = ("longer side", "spans 60.0%", "50.000%", "200 of 255", "20000000 bytes", "sRGB")
    assert len(missed) == len(words)
    assert all(word in line for word, line in zip(words, missed, strict=True))
    assert shortcomings(FinalBytes(1600, 1600, 1, True, 1.0, 250, 0.9), AMAZON_MAIN) == []
