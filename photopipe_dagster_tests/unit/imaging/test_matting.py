"""Edges of known alpha, found again from a coarse map."""

import cv2
import numpy as np
import pytest

from photopipe_dagster.imaging import matting
from photopipe_dagster.imaging.matting import (
    decide,
    doubtful,
    drop_specks,
    edge_colour,
    refine,
    soft_share,
)
from photopipe_dagster_tests.unit.providers.local import drawn

GREEN = (40, 120, 60)


def coarse(truth, side=100, blur=1.5, shift=0):
    """What a network would say: few pixels, soft, a little beside the edge."""
    moved = np.roll(truth, shift, axis=1)
    small = cv2.resize(moved, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), blur)


def error(alpha, truth):
    return float(np.abs(alpha - truth).mean())


def enlarged(small, truth):
    return cv2.resize(small, truth.shape[::-1], interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize("shift", [0, 4, -4])
def test_the_edge_moves_to_where_the_colours_change(shift):
    truth = drawn.shape(drawn.mug)
    rgb = drawn.photo(truth, GREEN, drawn.studio())
    guess = coarse(truth, shift=shift)
    alpha = refine(rgb, guess)
    assert alpha.dtype == np.float32
    assert alpha.shape == truth.shape
    assert drawn.iou(alpha, truth) > 0.995
    assert error(alpha, truth) < 0.4 * error(enlarged(guess, truth), truth)


def test_a_soft_edge_stays_soft():
    truth = cv2.GaussianBlur(drawn.shape(drawn.mug), (0, 0), 2)
    alpha = refine(drawn.photo(truth, GREEN, drawn.studio()), coarse(truth))
    soft = (truth > 0.2) & (truth < 0.8)
    assert np.abs(alpha - truth)[soft].mean() < 0.06


def test_inside_and_outside_are_exact():
    truth = drawn.shape(drawn.mug)
    alpha = refine(drawn.photo(truth, GREEN, drawn.studio()), coarse(truth))
    inside = cv2.erode(truth, np.ones((41, 41))) == 1
    outside = cv2.dilate(truth, np.ones((61, 61))) == 0
    assert inside.any()
    assert (alpha[inside] == 1).all()
    assert (alpha[outside] == 0).all()


def test_white_on_white_is_no_worse_than_the_guess():
    truth = drawn.shape(drawn.mug)
    rgb = drawn.photo(truth, (238, 238, 236), drawn.studio(240))
    guess = coarse(truth)
    alpha = refine(rgb, guess)
    assert drawn.iou(alpha, truth) > drawn.iou(enlarged(guess, truth), truth) - 0.005
    assert error(alpha, truth) < error(enlarged(guess, truth), truth)


def test_no_contrast_at_all_leaves_the_guess():
    truth = drawn.shape(drawn.mug)
    guess = coarse(truth)
    alpha = refine(np.full((*truth.shape, 3), 240, np.uint8), guess)
    assert drawn.iou(alpha, truth) == pytest.approx(drawn.iou(enlarged(guess, truth), truth))


def test_a_ring_stays_open():
    truth = drawn.shape(drawn.ring)
    alpha = refine(drawn.photo(truth, (180, 140, 40), drawn.studio()), coarse(truth))
    assert (alpha[280:320, 280:320] == 0).all()
    assert drawn.iou(alpha, truth) > 0.99


def test_large_photos_are_measured_small_and_cut_at_their_own_size(monkeypatch):
    truth = drawn.shape(drawn.mug)
    rgb = drawn.photo(truth, GREEN, drawn.studio())
    monkeypatch.setattr(matting, "_WORKING_SIDE", 300)
    alpha = refine(rgb, coarse(truth))
    assert alpha.shape == truth.shape
    assert drawn.iou(alpha, truth) > 0.98
    assert error(alpha, truth) < 0.01
    assert edge_colour(rgb, alpha).shape == rgb.shape


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3)])
def test_tiny_and_narrow_pictures(size):
    rgb = np.full((*size, 3), 128, np.uint8)
    alpha = refine(rgb, np.ones((5, 5), np.float32))
    assert alpha.shape == size
    assert (alpha == 1).all()


def test_specks_go_and_pairs_stay():
    alpha = np.zeros((200, 200), np.float32)
    alpha[20:100, 20:80] = 1
    alpha[20:100, 120:180] = 1
    alpha[150:152, 50:52] = 1
    alpha[170:190, 100:120] = 0.2
    cleaned = drop_specks(alpha)
    assert cleaned[20:100, 20:80].all()
    assert cleaned[20:100, 120:180].all()
    assert not cleaned[140:].any()


def test_the_soft_rim_of_a_product_is_no_speck():
    alpha = np.zeros((60, 60), np.float32)
    alpha[10:50, 10:50] = 0.1
    alpha[12:48, 12:48] = 1
    np.testing.assert_array_equal(drop_specks(alpha), alpha)


def test_an_empty_alpha_stays_empty():
    empty = np.zeros((20, 20), np.float32)
    assert not drop_specks(empty).any()
    assert not edge_colour(np.full((20, 20, 3), 9, np.uint8), empty).any()


def test_the_ground_goes_out_of_the_edge():
    truth = cv2.GaussianBlur(drawn.shape(drawn.mug), (0, 0), 1.5)
    rgb = drawn.photo(truth, GREEN, drawn.studio())
    own = drawn.photo(np.ones_like(truth), GREEN, drawn.studio())
    colours = edge_colour(rgb, truth)
    soft = (truth > 0.1) & (truth < 0.9)
    before = np.abs(rgb[soft].astype(float) - own[soft]).mean()
    after = np.abs(colours[soft].astype(float) - own[soft]).mean()
    assert after < 0.2 * before


def test_only_half_transparent_pixels_change_colour():
    truth = drawn.shape(drawn.mug)
    rgb = drawn.photo(truth, GREEN, drawn.studio())
    given = rgb.copy()
    colours = edge_colour(rgb, truth)
    np.testing.assert_array_equal(rgb, given)
    opaque = truth >= matting.OPAQUE
    np.testing.assert_array_equal(colours[opaque], rgb[opaque])
    assert not colours[truth == 0].any()


def doubted(level):
    """A product of two halves, one of them half believed in."""
    seen = np.zeros((320, 320), np.float32)
    seen[60:160, 80:240] = 1
    seen[160:260, 80:240] = level
    return cv2.GaussianBlur(seen, (0, 0), 1.5)


@pytest.mark.parametrize(("level", "decision"), [(0.65, 1), (0.35, 0)])
def test_wide_doubt_is_decided(level, decision):
    seen = doubted(level)
    assert doubtful(seen)[180:240, 100:220].all()
    decided = decide(seen)
    np.testing.assert_allclose(decided[175:245, 95:225], decision, atol=1e-6)
    np.testing.assert_array_equal(decided[:50], seen[:50])
    assert (decided[70:150, 90:230] > 0.999).all()
    assert not doubtful(decided).any()


def test_an_ordinary_edge_is_no_doubt():
    seen = doubted(1.0)
    assert not doubtful(seen).any()
    np.testing.assert_array_equal(decide(seen), seen)


def test_no_hole_opens_where_all_colours_lie_on_one_line():
    """Black and white of one tint: single precision found no solution there, and left holes."""
    rng = np.random.default_rng(1)
    level = rng.integers(0, 256, (200, 200))
    rgb = np.stack([level, level * 0.98, np.minimum(255, level * 1.02)], axis=-1).astype(np.uint8)
    guess = np.full((64, 64), 0.97, np.float32)
    guess[:, :8] = 0
    guess += rng.normal(0, 0.01, guess.shape).astype(np.float32)
    alpha = refine(rgb, np.clip(guess, 0, 1))
    assert np.isfinite(alpha).all()
    assert (alpha[:, 60:] > 0.5).all()


@pytest.mark.parametrize(("sigma", "low", "high"), [(0.01, 0, 0.1), (1, 1, 3), (12, 15, 60)])
def test_soft_share_tells_how_blurred_an_outline_is(sigma, low, high):
    alpha = np.zeros((300, 300), np.float32)
    alpha[50:250, 50:250] = 1
    assert low <= soft_share(cv2.GaussianBlur(alpha, (0, 0), sigma)) <= high


def test_soft_share_sees_a_translucent_part():
    assert soft_share(doubted(0.6)) > 10 * max(soft_share(decide(doubted(0.6))), 1)


def test_soft_share_of_nothing_and_of_everything():
    assert soft_share(np.zeros((20, 20), np.float32)) == 0
    assert soft_share(np.ones((20, 20), np.float32)) == 0
