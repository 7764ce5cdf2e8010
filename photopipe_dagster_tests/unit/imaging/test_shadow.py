"""The shadow lies on the ground, on the side away from the light, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from photopipe_dagster.imaging.composite import CutoutPicture
from photopipe_dagster.imaging.light import Light
from photopipe_dagster.imaging.shadow import find_base, shade, shade_from_above, shade_resting
from photopipe_dagster.imaging.viewpoint import round_base
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster_tests.unit.imaging.silhouettes import CAN, PLATE, Solid, in_scene, seen

STUDIO = THEMES["default"].light
KITCHEN = THEMES["kitchen"].light
OUTDOORS = THEMES["outdoors"].light
MINIMAL = THEMES["minimal"].light
LUXURY = THEMES["luxury"].light
PACKSHOT = THEMES["shopify-square"].light

LIGHTS = {
    "studio": STUDIO,
    "kitchen": KITCHEN,
    "outdoors": OUTDOORS,
    "minimal": MINIMAL,
    "luxury": LUXURY,
}
SIDE = 400


def box_product(left: int = 150, top: int = 150, right: int = 250, bottom: int = 280) -> np.ndarray:
    """A plain box standing in the middle of a picture of 400 × 400 pixels."""
    rgba = np.zeros((SIDE, SIDE, 4), np.uint8)
    rgba[top:bottom, left:right] = (200, 60, 40, 255)
    return rgba


def darkness(rgba: np.ndarray, light: Light, *, lies: bool = False) -> np.ndarray:
    """How much darker each pixel of an even ground became; 0 on the product."""
    scene = np.full((*rgba.shape[:2], 3), 220, np.uint8)
    lit = in_scene(CutoutPicture.from_rgba(rgba), scene, light, lies=lies)[:, :, 1].astype(int)
    return np.where(rgba[:, :, 3] > 0, 0, 220 - lit)


@pytest.mark.parametrize("light", LIGHTS.values(), ids=LIGHTS)
def test_it_is_darkest_at_the_base_and_absent_around_the_upper_parts(light: Light) -> None:
    dark = darkness(box_product(), replace(light, reflection=0))
    assert dark[281, 160:240].min() > 40
    assert dark[281, 160:240].mean() == pytest.approx(dark.max(), rel=0.35)
    assert dark[:230].max() == 0
    assert dark[281, 200] > 2 * dark[300, 200] >= 0


@pytest.mark.parametrize("light", LIGHTS.values(), ids=LIGHTS)
def test_it_falls_to_the_lower_right(light: Light) -> None:
    dark = darkness(box_product(), replace(light, reflection=0))
    assert dark[280:, 255:].sum() > 2 * dark[280:, :145].sum()


def test_the_light_decides_where_it_falls() -> None:
    from_right = darkness(box_product(), replace(STUDIO, azimuth_degrees=55))
    assert from_right[:, :145].sum() > 2 * from_right[:, 255:].sum()
    from_camera = darkness(box_product(), replace(STUDIO, azimuth_degrees=225))
    assert from_camera[220:278, 255:].sum() > darkness(box_product(), STUDIO)[220:278, 255:].sum()


def test_a_lower_light_throws_farther() -> None:
    def reach(elevation: float) -> int:
        dark = darkness(box_product(), replace(STUDIO, elevation_degrees=elevation, cast=0.8))
        return int(np.nonzero(dark.max(axis=0) >= 4)[0].max())

    assert reach(30) > reach(50) > reach(75)


def test_it_fades_smoothly_and_ends_without_an_edge() -> None:
    dark = darkness(box_product(), OUTDOORS)
    right_of_product = dark[286:, 252:]
    assert np.abs(np.diff(right_of_product, axis=1)).max() <= 12
    patch = shade(
        box_product()[150:280, 150:250, 3], find_base(np.full((130, 100), 255, np.uint8)), OUTDOORS
    )
    rim = np.concatenate(
        [patch.pixels[0], patch.pixels[-1], patch.pixels[:, 0], patch.pixels[:, -1]]
    )
    assert rim.min() == 255


def test_it_is_the_same_at_every_resolution() -> None:
    small = darkness(box_product(), STUDIO)
    large = darkness(
        cv2.resize(box_product(), None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST), STUDIO
    )
    shrunk = cv2.resize(large.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    away = np.s_[284:, :]  # the contact's edge itself is a matter of single pixels
    assert np.abs(shrunk - small)[away].max() <= 12
    assert np.abs(shrunk - small)[away].mean() < 0.6


def test_a_round_base_is_followed() -> None:
    rgba = box_product()
    for x in range(150, 250):
        rise = round(0.002 * (x - 200) ** 2)
        rgba[280 - rise : 280, x] = 0
    dark = darkness(rgba, replace(STUDIO, cast=0, ambient=0))
    assert dark[281, 200] > 60
    assert dark[277, 158] > 30


def test_what_hangs_over_the_ground_does_not_touch_it() -> None:
    rgba = box_product()
    rgba[150:200, 250:330] = (200, 60, 40, 255)  # an arm, high above the ground
    dark = darkness(rgba, replace(STUDIO, cast=0, ambient=0))
    assert dark[:, 270:].max() < 8


def test_a_thread_below_the_product_is_not_its_base() -> None:
    alpha = np.zeros((130, 200), np.uint8)
    alpha[:100] = 255
    alpha[100:, 50] = 255
    assert find_base(alpha).line == 100


def test_a_product_without_solid_pixels_gets_a_base_all_the_same() -> None:
    rgba = box_product()
    rgba[:, :, 3] = np.minimum(rgba[:, :, 3], 100)
    assert darkness(rgba, replace(LUXURY, reflection=0.3))[281, 160:240].min() > 40
    assert find_base(np.full((20, 30), 100, np.uint8)).line == 20


def test_a_product_cut_off_by_the_frame_gets_none() -> None:
    cut = box_product(bottom=SIDE)
    assert not CutoutPicture.from_rgba(cut).stands
    assert darkness(cut, LUXURY).max() == 0


@pytest.mark.parametrize("edge", [{"left": 0}, {"right": SIDE}, {"top": 0}, {"bottom": SIDE - 3}])
def test_products_at_the_frame_s_edge_are_shaded(edge: dict[str, int]) -> None:
    product = box_product(**edge)
    assert darkness(product, replace(LUXURY, reflection=0)).max() > 40
    assert np.array_equal(blend_on(product, LUXURY)[product[:, :, 3] > 0][:, 0].max(), 200)


def blend_on(rgba: np.ndarray, light: Light, ground: int = 20) -> np.ndarray:
    scene = np.full((*rgba.shape[:2], 3), ground, np.uint8)
    return in_scene(CutoutPicture.from_rgba(rgba), scene, light)


def test_a_glossy_ground_mirrors_the_product_upside_down() -> None:
    rgba = box_product()
    rgba[215:280, 150:250, :3] = (0, 220, 0)  # green below, red above
    lit = blend_on(rgba, replace(LUXURY, contact=0, ambient=0, cast=0, reflection=0.8)).astype(int)
    near, far = lit[286:300, 190:210].mean(axis=(0, 1)), lit[350:358, 190:210].mean(axis=(0, 1))
    assert near[1] > near[0] + 40
    assert far[0] > far[1]
    assert near.max() > far.max()
    assert lit[:150].max() == 20


def test_a_matt_ground_mirrors_nothing() -> None:
    none = replace(STUDIO, contact=0, ambient=0, cast=0)
    outside = box_product()[:, :, 3] == 0
    assert (blend_on(box_product(), none)[outside] == 20).all()


def test_the_tint_is_what_is_left_in_the_deepest_shade() -> None:
    warm = Light(contact=1, ambient=0, cast=0, tint=(0.5, 0.1, 0.0))
    scene = np.full((SIDE, SIDE, 3), 200, np.uint8)
    lit = in_scene(CutoutPicture.from_rgba(box_product()), scene, warm)[281, 200].astype(int)
    assert lit[0] > lit[1] > lit[2]


def hat(top: int = 120, side: int = SIDE) -> np.ndarray:
    """A square of cloth that hangs askew, by a corner: it would stand on a point."""
    rgba = np.zeros((side, side, 4), np.uint8)
    middle = (side // 2, top + 80)
    corners = np.array([(0, -80), (80, 0), (0, 80), (-80, 0)], np.int32)
    cv2.fillPoly(rgba, [corners + np.array(middle, np.int32)], (200, 60, 40, 255))
    return rgba


PLAIN = {name: light for name, light in (LIGHTS | {"packshot": PACKSHOT}).items() if light.plain}


@pytest.mark.parametrize("light", LIGHTS.values(), ids=LIGHTS)
def test_what_may_stand_or_lie_is_shaded_below_and_nowhere_else(light: Light) -> None:
    dark = darkness(hat(), light)
    below = dark[281:]
    assert below[1:8, 195:206].min() > 25  # its lowest corner touches the ground
    assert below[:, :200].sum() == pytest.approx(below[:, 201:].sum(), rel=0.05)  # no direction
    # Beside and above it is nothing: no glow. Halfway up its lower edges there is less.
    assert dark[:195].max() <= 1
    assert dark[:, :115].max() <= 4
    assert dark[232:250, 150:160].max() < dark.max() / 2


def test_each_leg_of_what_may_stand_touches_the_ground() -> None:
    alpha = np.zeros((130, 100), np.uint8)
    alpha[:60] = 255
    legs = ((0, 112), (45, 130), (90, 105))
    for left, bottom in legs:
        alpha[60:bottom, left : left + 10] = 255
    patch = shade_resting(alpha, find_base(alpha), STUDIO)
    factor = patch.pixels[:, :, 1].astype(int)
    first, second, third = (
        255 - factor[bottom - patch.top + 1, left - patch.left + 5] for left, bottom in legs
    )
    assert second > first > third > 15
    seat = 255 - factor[61 - patch.top, 25 - patch.left]
    assert seat < third / 2


def test_the_shade_below_is_the_same_at_every_resolution() -> None:
    small = darkness(hat(), STUDIO)
    tripled = cv2.resize(hat(), None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
    large = darkness(tripled, STUDIO).astype(np.float32)
    shrunk = cv2.resize(large, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk - small)[285:].max() <= 6


@pytest.mark.parametrize("light", PLAIN.values(), ids=PLAIN)
def test_what_lies_is_shaded_all_around_and_more_away_from_the_light(light: Light) -> None:
    dark = darkness(hat(), light, lies=True)
    # Beside the middle of each of its four edges.
    upper_left, upper_right = dark[157, 157], dark[157, 242]
    lower_left, lower_right = dark[242, 157], dark[242, 242]
    assert min(upper_right, lower_left) > 4
    assert lower_right > upper_left > 0
    assert lower_right < 140
    assert dark[:40].max() == dark[-40:].max() == 0


@pytest.mark.parametrize(
    "light", [KITCHEN, OUTDOORS, LUXURY], ids=["kitchen", "outdoors", "luxury"]
)
def test_what_is_known_to_lie_hovers_over_a_table(light: Light) -> None:
    dark = darkness(hat(), light, lies=True)
    assert not light.plain
    assert dark[:282].max() <= 1  # no contact and no reflection: it ends at 280
    pool = dark[282:, 150:270]
    line = 282 + int(pool.sum(axis=1).argmax())
    assert 285 < line < 320
    assert 20 < pool.max() < 170
    assert np.abs(np.diff(dark[282:], axis=0)).max() <= 14


def test_the_pool_below_is_the_same_at_every_resolution() -> None:
    small = darkness(hat(), KITCHEN, lies=True)
    tripled = cv2.resize(hat(), None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
    large = darkness(tripled, KITCHEN, lies=True).astype(np.float32)
    shrunk = cv2.resize(large, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk - small)[285:].max() <= 6


@pytest.mark.parametrize(("light", "top"), [(STUDIO, 0), (STUDIO, 238), (KITCHEN, 0)])
def test_at_the_frame_s_edge_it_is_cut_off(light: Light, top: int) -> None:
    assert darkness(hat(top), light, lies=True).max() > 4


def test_the_ground_below_what_hovers_may_be_out_of_the_picture() -> None:
    assert darkness(hat(238), KITCHEN, lies=True).max() <= 1


@pytest.mark.parametrize("light", LIGHTS.values(), ids=LIGHTS)
def test_the_product_stays_as_it_is_however_it_is_posed(light: Light) -> None:
    product = hat()
    inside = product[:, :, 3] == 255
    assert np.array_equal(blend_on(product, light)[inside], product[inside][:, :3])


def from_above(solid: Solid, degrees: float, size: int = 200, side: int = SIDE) -> np.ndarray:
    """Something round in the middle of a picture, photographed from so far above."""
    alpha = seen(solid, degrees, size)
    height, width = alpha.shape
    top, left = (side - height) // 2, (side - width) // 2
    rgba = np.zeros((side, side, 4), np.uint8)
    rgba[top : top + height, left : left + width] = (200, 60, 40, 255)
    rgba[top : top + height, left : left + width, 3] = alpha
    return rgba


@pytest.mark.parametrize("light", PLAIN.values(), ids=PLAIN)
@pytest.mark.parametrize("degrees", [40, 50, 60])
def test_the_ground_is_shaded_around_a_base_seen_from_above(degrees: float, light: Light) -> None:
    can = from_above(CAN, degrees)
    dark = darkness(can, light)
    rows, columns = np.nonzero(can[:, :, 3])
    lowest, left, right = rows.max(), columns.min(), columns.max()
    base = lowest - round(50 * np.sin(np.radians(degrees)))
    # It stands on all of its base, and not on the base's foremost point.
    assert dark[lowest + 2, SIDE // 2] > 5
    assert min(dark[base, : left + 8].max(), dark[base, right - 8 :].max()) > 5
    # Nothing is shaded around its upper end, which is high above the ground.
    assert dark[: rows.min() + 20].max() <= 1


@pytest.mark.parametrize("solid", [CAN, PLATE], ids=["can", "plate"])
def test_a_shadow_from_above_ends_before_its_patch_does(solid: Solid) -> None:
    alpha = seen(solid, 50)
    base = round_base(alpha)
    assert base is not None
    pixels = shade_from_above(alpha, base, STUDIO).pixels
    assert min(side.min() for side in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])) == 255
    assert pixels.min() < 100


@pytest.mark.parametrize("light", [STUDIO, MINIMAL], ids=["studio", "minimal"])
def test_what_is_seen_from_above_throws_its_shadow_away_from_the_light(light: Light) -> None:
    can, plate = darkness(from_above(CAN, 45), light), darkness(from_above(PLATE, 45), light)
    assert can[:, 260:].sum() > 4 * can[:, :140].sum()
    assert can[:, 260:].sum() > 4 * plate[:, 305:].sum()  # the higher, the longer


def test_a_shadow_from_above_is_the_same_at_every_resolution() -> None:
    small = darkness(from_above(CAN, 50, 400, 2 * SIDE), STUDIO)
    large = darkness(from_above(CAN, 50, 1200, 6 * SIDE), STUDIO).astype(np.float32)
    shrunk = cv2.resize(large, small.shape, interpolation=cv2.INTER_AREA)
    product = from_above(CAN, 50, 400, 2 * SIDE)[:, :, 3]
    clear = cv2.dilate(product, np.ones((5, 5), np.uint8)) == 0
    assert np.abs(shrunk - small)[clear].max() <= 8


def test_all_that_is_seen_from_above_is_shaded_and_not_the_foremost_alone() -> None:
    plates = from_above(PLATE, 50, 100)
    higher = np.roll(plates, (-110, -110), axis=(0, 1))
    both = np.where(plates[:, :, 3:] > 0, plates, higher)
    both[40, 90, 3] = 4  # haze, which is no piece
    alone, dark = darkness(plates, STUDIO), darkness(both, STUDIO)
    rows, columns = np.nonzero(higher[:, :, 3])
    beside_it = np.s_[rows.max() - 10 : rows.max() + 6, columns.max() - 20 : columns.max() + 6]
    assert alone[beside_it].max() <= 2
    assert dark[beside_it].max() > 20
    below = np.s_[np.nonzero(plates[:, :, 3])[0].max() :, :]
    assert min(alone[below].max(), dark[below].max()) > 20


def test_a_row_without_anything_throws_no_shadow() -> None:
    alpha = seen(CAN, 50)
    base = round_base(alpha)
    assert base is not None
    alpha[round(base.y) - 40 : round(base.y) - 10] = 0
    assert shade_from_above(alpha, base, STUDIO).pixels.max() == 255
