"""What a merchandiser may rely on in every rendered background."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from photopipe_dagster.core.errors import ErrorCode, PhotoRejectedError
from photopipe_dagster.providers.local.scenes import SCENE_VERSION, SCENES, render
from photopipe_dagster.themes.builtin import THEMES

WITH_A_TABLE = ("kitchen", "outdoors", "luxury")


def shares(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The picture's channels from 0 to 1."""
    return picture.astype(np.float64) / 255


def parted(theme: str, picture: NDArray[np.uint8]) -> tuple[NDArray, NDArray]:
    """What is clearly above and clearly below the horizon."""
    height = picture.shape[0]
    horizon = SCENES[theme].horizon
    above = shares(picture[: int((horizon - 0.05) * height)])
    below = shares(picture[int((horizon + 0.05) * height) :])
    return above, below


def test_every_theme_has_a_scene() -> None:
    assert set(SCENES) == {name for name in THEMES if THEMES[name].background is None}
    assert SCENE_VERSION


def test_an_unknown_theme_is_rejected_and_the_known_are_named() -> None:
    with pytest.raises(PhotoRejectedError, match="kitchen") as rejected:
        render("moon", 256, 256, 1)
    assert rejected.value.code is ErrorCode.VALIDATION_ERROR
    assert "'moon'" in rejected.value.message


@pytest.mark.parametrize("theme", SCENES)
@pytest.mark.parametrize(("width", "height"), [(256, 512), (517, 259), (331, 257)])
def test_any_size_and_ratio_renders(theme: str, width: int, height: int) -> None:
    picture = render(theme, width, height, 7)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8
    # Nothing is left unpainted: no row or column is one flat colour.
    assert picture.std(axis=(1, 2)).min() > 0
    assert picture.std(axis=(0, 2)).min() > 0


@pytest.mark.parametrize("theme", SCENES)
def test_a_seed_is_a_picture(theme: str) -> None:
    first = render(theme, 300, 280, 41)
    np.random.default_rng(5).random(10)
    assert np.array_equal(first, render(theme, 300, 280, 41))


@pytest.mark.parametrize("theme", SCENES)
def test_another_seed_is_another_scene_not_just_other_grain(theme: str) -> None:
    smooth = [cv2.blur(render(theme, 300, 300, seed), (9, 9)) for seed in (1, 2)]
    difference = np.abs(smooth[0].astype(int) - smooth[1])
    # Paper differs by its light alone; a garden in every leaf.
    assert difference.max() >= 3
    if theme in WITH_A_TABLE:
        assert difference.max() > 25


# One spot lights every wall of `luxury`, which makes them alike to that degree.
@pytest.mark.parametrize(("theme", "limit"), [("kitchen", 0.3), ("outdoors", 0.5), ("luxury", 0.7)])
def test_seeds_differ_in_what_stands_where(theme: str, limit: float) -> None:
    """Behind the product no two seeds show one layout: their large shapes do not go together."""
    backs = []
    for seed in range(8):
        picture = shares(render(theme, 256, 256, seed)).mean(axis=2)
        back = picture[: int((SCENES[theme].horizon - 0.05) * 256)]
        coarse = cv2.resize(back, (16, 10), interpolation=cv2.INTER_AREA)
        # The fall of the light from the left is common to all, and no layout.
        across, down = np.meshgrid(np.linspace(-1, 1, 16), np.linspace(-1, 1, 10))
        terms = np.column_stack([np.ones(160), across.ravel(), down.ravel()])
        plane = terms @ np.linalg.lstsq(terms, coarse.ravel(), rcond=None)[0]
        backs.append(coarse.ravel() - plane)
    alike = np.corrcoef(backs)[np.triu_indices(len(backs), 1)]
    assert np.median(alike) < limit
    assert alike.max() < 0.97


@pytest.mark.parametrize("theme", SCENES)
def test_a_theme_may_name_the_looks_that_it_is_drawn_from(theme: str) -> None:
    for look in SCENES[theme].looks:
        only = render(theme, 256, 256, 3, (look,))
        assert np.array_equal(only, render(theme, 256, 256, 3, [look]))
    every = render(theme, 256, 256, 3, tuple(SCENES[theme].looks))
    assert np.array_equal(every, render(theme, 256, 256, 3))


def test_a_look_that_a_scene_has_not_is_rejected_and_the_known_are_named() -> None:
    with pytest.raises(PhotoRejectedError, match="sage") as rejected:
        render("kitchen", 256, 256, 1, ("castle",))
    assert "'castle'" in rejected.value.message


@pytest.mark.parametrize("theme", SCENES)
def test_the_size_does_not_change_what_is_in_the_picture(theme: str) -> None:
    small = cv2.blur(render(theme, 320, 320, 9), (9, 9)).astype(float)
    large = cv2.resize(render(theme, 640, 640, 9), (320, 320), interpolation=cv2.INTER_AREA)
    assert np.abs(small - cv2.blur(large, (9, 9))).mean() < 4


def test_beyond_the_largest_computed_size_the_picture_is_enlarged_with_fresh_grain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    computed = render("kitchen", 400, 400, 3)
    monkeypatch.setattr("photopipe_dagster.providers.local.scenes.LARGEST_UNIT", 200)
    enlarged = render("kitchen", 400, 400, 3)
    assert enlarged.shape == (400, 400, 3)
    smooth = [cv2.blur(picture, (15, 15)).astype(float) for picture in (computed, enlarged)]
    assert np.abs(smooth[0] - smooth[1]).mean() < 4
    # Grain of the final size: neighbours differ as much as in a picture that was not enlarged.
    rough = [np.diff(picture[300:, :, 1].astype(float)).std() for picture in (computed, enlarged)]
    assert rough[1] > 0.5 * rough[0]


@pytest.mark.parametrize("theme", SCENES)
def test_no_gradient_bands(theme: str) -> None:
    """Neighbours in the smoothest patch differ: dither and grain break every contour."""
    picture = render(theme, 512, 512, 4)
    green = picture[..., 1].astype(float)
    patches = green.reshape(16, 32, 16, 32).swapaxes(1, 2).reshape(256, 32, 32)
    unclipped = patches[(patches.max(axis=(1, 2)) < 250) & (patches.min(axis=(1, 2)) > 5)]
    smoothest = unclipped[unclipped.std(axis=(1, 2)).argmin()]
    assert len(np.unique(smoothest)) >= 3
    assert (np.diff(smoothest, axis=1) == 0).mean() < 0.7


@pytest.mark.parametrize("theme", ["kitchen", "outdoors"])
@pytest.mark.parametrize("seed", [1, 8])
def test_the_table_ends_at_the_horizon(theme: str, seed: int) -> None:
    """Across the documented line, and not a tenth below it, the picture changes."""
    picture = shares(render(theme, 400, 400, seed)).mean(axis=1)
    horizon = round(SCENES[theme].horizon * 400)

    def change(row: int) -> float:
        upper, lower = picture[row - 16 : row - 8], picture[row + 8 : row + 16]
        return float(np.abs(upper.mean(axis=0) - lower.mean(axis=0)).max())

    assert change(horizon) > 1.5 * change(horizon + 60)


@pytest.mark.parametrize("theme", SCENES)
def test_products_stand_on_the_surface(theme: str) -> None:
    assert 0.55 <= SCENES[theme].horizon <= 0.62


@pytest.mark.parametrize("theme", SCENES)
@pytest.mark.parametrize("seed", [2, 13])
def test_the_light_comes_from_the_upper_left(theme: str, seed: int) -> None:
    picture = shares(render(theme, 320, 320, seed)).mean(axis=2)
    assert picture[:, :110].mean() > picture[:, -110:].mean()


@pytest.mark.parametrize("theme", SCENES)
def test_the_ground_is_lit_from_where_shadows_fall_away_from(theme: str) -> None:
    """In every look, as a product's shadow is thrown to the right."""
    light = THEMES[theme].light
    assert light is not None
    assert 180 < light.azimuth_degrees < 360
    for look in SCENES[theme].looks:
        for seed in range(4):
            picture = shares(render(theme, 256, 256, seed, [look])).mean(axis=2)
            ground = picture[int((SCENES[theme].horizon + 0.08) * 256) :]
            assert ground[:, :85].mean() > ground[:, -85:].mean(), (look, seed)


def test_default_is_a_neutral_light_grey() -> None:
    picture = shares(render("default", 320, 320, 3))
    assert 0.7 < picture.mean() < 0.9
    assert np.abs(picture.mean(axis=(0, 1)) - picture.mean()).max() < 0.01
    assert picture[100:300, 60:260].std() < 0.08


def test_minimal_is_high_key_and_warm() -> None:
    picture = shares(render("minimal", 320, 320, 3))
    assert picture.mean() > 0.85
    red, green, blue = picture.mean(axis=(0, 1))
    assert red > green > blue
    assert picture.std(axis=(0, 1)).max() < 0.06


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_kitchen_counter_is_light_veined_and_nearly_neutral(seed: int) -> None:
    _, counter = parted("kitchen", render("kitchen", 400, 400, seed))
    assert counter.mean() > 0.7
    assert (counter.max(axis=2) - counter.min(axis=2)).mean() < 0.05
    grey = counter.mean(axis=2)
    veins = cv2.GaussianBlur(grey, (0, 0), 8) - grey
    assert (veins > 0.03).mean() > 0.005


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("look", ["hedge", "shade"])
def test_outdoors_is_green_above_and_brown_below(look: str, seed: int) -> None:
    above, below = parted("outdoors", render("outdoors", 400, 400, seed, [look]))
    assert (above[..., 1] > above[..., 0]).mean() > 0.7
    assert (above[..., 1] > above[..., 2] + 0.1).mean() > 0.7
    red, green, blue = below.mean(axis=(0, 1))
    assert red > green + 0.05 > blue + 0.1


def test_outdoors_the_garden_is_out_of_focus_and_the_wood_is_not() -> None:
    picture = render("outdoors", 600, 600, 3)
    detail = np.abs(cv2.Laplacian(cv2.GaussianBlur(picture, (0, 0), 1), cv2.CV_32F)).mean(axis=2)
    assert detail[480:].mean() > 1.5 * detail[60:300].mean()


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("look", SCENES["luxury"].looks)
def test_luxury_is_dark_with_gold(look: str, seed: int) -> None:
    picture = render("luxury", 400, 400, seed, [look])
    assert np.median(shares(picture)) < 0.2
    hue, saturation, value = np.moveaxis(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV), 2, 0)
    # OpenCV's hue has 180 steps: gold lies about 20 of them (40 degrees).
    gold = (hue >= 12) & (hue <= 26) & (saturation > 90) & (value > 70)
    assert 0.002 < gold.mean() < 0.15


@pytest.mark.parametrize("seed", [1, 8])
@pytest.mark.parametrize("look", ["fluted", "velvet", "plaster"])
def test_luxury_the_gold_skirting_lies_just_above_the_horizon(look: str, seed: int) -> None:
    picture = shares(render("luxury", 600, 600, seed, [look]))
    gold = (picture[..., 0] - picture[..., 2]).mean(axis=1)
    skirting = gold[150:450].argmax() + 150
    assert SCENES["luxury"].horizon - skirting / 600 == pytest.approx(0.04, abs=0.006)


def test_luxury_mirrors_the_lit_wall_in_the_stone() -> None:
    """Near the edge the stone shows the wall's flutes: their columns brighten together."""
    picture = shares(render("luxury", 600, 600, 5, ["fluted"])).mean(axis=2)
    horizon = int(SCENES["luxury"].horizon * 600)
    wall = picture[horizon - 150 : horizon - 80, 100:500].mean(axis=0)
    stone = picture[horizon + 80 : horizon + 150, 100:500].mean(axis=0)
    assert np.corrcoef(wall, stone)[0, 1] > 0.5
