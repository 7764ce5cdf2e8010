"""The physics behind the scenes, against what is known of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from photopipe_dagster.imaging.composite import encode_jpeg
from photopipe_dagster.imaging.finishing import read_back
from photopipe_dagster.providers.local.scenes.film import Film, develop
from photopipe_dagster.providers.local.scenes.frame import REACH, Frame
from photopipe_dagster.providers.local.scenes.lens import disc_blur, row_blur, vignette
from photopipe_dagster.providers.local.scenes.light import Softbox, fresnel
from photopipe_dagster.providers.local.scenes.noise import NoiseField
from photopipe_dagster.providers.local.scenes.surface import Surface


@pytest.mark.parametrize(("width", "height"), [(256, 512), (512, 256), (300, 300)])
def test_no_frame_reaches_beyond_what_is_drawn(width: int, height: int) -> None:
    frame = Frame(width, height, 0.58)
    assert np.abs(frame.x).max() < REACH
    assert np.abs(frame.y).max() < REACH
    assert frame.y[frame.row(0), 0] >= 0 > frame.y[frame.row(0) - 1, 0]


def test_a_point_out_of_focus_is_a_disc_of_the_same_light() -> None:
    point = np.zeros((41, 41, 3), dtype=np.float32)
    point[20, 20] = 100
    disc = disc_blur(point, 8)
    assert disc.sum() == pytest.approx(300, rel=1e-3)
    assert disc[20, 13, 0] > 0.2
    assert disc[20, 10, 0] == pytest.approx(0, abs=1e-4)


def test_row_blur_keeps_sharp_rows_and_light() -> None:
    image = np.random.default_rng(1).random((60, 80, 3), dtype=np.float32)
    radius = np.linspace(12, 0, 60, dtype=np.float32)
    blurred = row_blur(image, radius)
    assert np.allclose(blurred[-1], image[-1], atol=1e-5)
    assert blurred[5].std() < 0.4 * image[5].std()
    assert row_blur(image, np.zeros(60, dtype=np.float32)) is image


def test_vignette_costs_the_corners_what_it_says() -> None:
    fall = vignette(Frame(301, 201, 0.5), 0.3)
    assert fall[100, 150, 0] == pytest.approx(1, abs=1e-3)
    assert fall[0, 0, 0] == pytest.approx(0.7, abs=1e-3)


def test_a_far_lamp_follows_the_inverse_square() -> None:
    up = np.array([[[0, 1, 0]]], dtype=np.float32)
    floor = np.zeros((1, 1, 3), dtype=np.float32)
    near, far = (
        Softbox((1e-3, height, 0), (0, 0, 0), 0.2).irradiance(floor, up)[0, 0]
        for height in (4.0, 8.0)
    )
    assert near / far == pytest.approx(4, rel=0.01)
    # A small lamp straight above: area / (pi * distance²).
    assert near == pytest.approx(0.04 / (np.pi * 16), rel=0.01)


def test_polish_mirrors_at_grazing_angles() -> None:
    reflectance = fresnel(np.array([1.0, 0.3, 0.0], dtype=np.float32), 0.04)
    assert reflectance[0] == pytest.approx(0.04)
    assert reflectance[0] < reflectance[1] < reflectance[2] == pytest.approx(1)


def test_the_table_shrinks_with_distance_and_mirrors_about_its_edge() -> None:
    frame = Frame(400, 400, 0.6)
    surface = Surface(frame)
    assert np.all(np.diff(surface.distance[:, 0]) <= 0)
    assert surface.distance[0, 0] > 2.5
    behind = np.zeros((400, 400, 3), dtype=np.float32)
    behind[150:160] = 1
    mirrored = surface.reflection(behind, across=0.006, down=0.006)[..., 0].mean(axis=1)
    # 85 rows above the edge at row 240: 85 rows below it.
    assert surface.first_row + int(mirrored.argmax()) == pytest.approx(240 + 84.5, abs=3)


def test_noise_is_periodic_smooth_and_fades_below_a_pixel() -> None:
    noise = NoiseField(np.random.default_rng(2))
    x, y = np.meshgrid(np.linspace(0, 8, 200), np.linspace(0, 8, 200))
    x, y = x.astype(np.float32), y.astype(np.float32)
    field = noise.at(x, y)
    assert np.allclose(field, noise.at(x + 64, y - 128), atol=1e-3)
    assert np.abs(np.diff(field, axis=1)).max() < 0.35
    assert 0.4 < field.std() < 1.1
    assert not noise.fractal(x, y, 3, footprint=1.0).any()


def test_film_keeps_black_black_and_rolls_highlights_off() -> None:
    steps = np.array([0.0, 0.05, 0.18, 0.5, 1.0, 2.0, 8.0], dtype=np.float32)
    light = np.broadcast_to(steps[None, :, None], (64, 7, 3)).copy()
    picture = develop(light, Film(grain=0), (7, 64), np.random.default_rng(0))
    levels = picture.mean(axis=(0, 2))
    assert levels[0] == 0
    assert np.all(np.diff(levels) > 0)
    assert 95 < levels[2] < 130
    assert levels[4] < 250 < levels[6]


def test_dither_keeps_the_mean_between_two_levels() -> None:
    levels = []
    for value in np.linspace(0.2000, 0.2025, 6):
        light = np.full((128, 128, 3), value, dtype=np.float32)
        picture = develop(light, Film(grain=0), (128, 128), np.random.default_rng(0))
        levels.append(picture.mean())
    assert np.ptp(levels) < 1.5
    assert np.all(np.diff(levels) > 0)


def test_a_smooth_ramp_of_a_pale_colour_has_no_bands_of_another_hue_after_two_jpegs() -> None:
    """A background is written once, and again in the composite with halved colour."""
    ramp = np.linspace(0.62, 0.88, 1024, dtype=np.float32)[None, :, None]
    light = np.repeat(ramp, 1024, axis=0) * np.array([1.0, 0.96, 0.9], dtype=np.float32)
    picture = develop(light, Film(grain=0.9), (1024, 1024), np.random.default_rng(0))
    stored = read_back(encode_jpeg(picture, quality=92, full_colour=True))
    shown = read_back(encode_jpeg(stored))
    lab = cv2.cvtColor(shown.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    # Means over all rows of stripes a block of the JPEG wide.
    hue = lab.reshape(1024, 64, 16, 3).mean(axis=(0, 2))[:, 1:]
    place = np.linspace(-1, 1, 64)
    expected = [np.polyval(np.polyfit(place, each, 2), place) for each in hue.T]
    assert np.hypot(*(hue.T - expected)).max() < 0.25
    assert np.hypot(*np.diff(hue, axis=0).T).max() < 0.35
