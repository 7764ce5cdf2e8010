"""What a photo says against a cut-out: numbers that a fault raises, and where the fault is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from photopipe_dagster.imaging.evidence import Evidence, Region, measure_evidence
from photopipe_dagster.imaging.measures import View

SIDE = 480


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A ring of brown wool on grass, and where it is."""
    chance = np.random.default_rng(3)
    y, x = np.mgrid[:SIDE, :SIDE]
    radius = np.hypot(x - SIDE / 2, y - SIDE / 2)
    ring = (radius < 150) & (radius > 60)
    grain = cv2.GaussianBlur(chance.normal(0, 60, (SIDE, SIDE)).astype(np.float32), (0, 0), 2)
    grass = np.array([70, 120, 50]) + grain[..., None]
    wool = np.array([150, 90, 60]) + grain[..., None] / 3
    return np.clip(np.where(ring[..., None], wool, grass), 0, 255).astype(np.uint8), ring


def evidence(cut: np.ndarray) -> Evidence:
    photo, _ = scene()
    soft = cv2.GaussianBlur(cut.astype(np.float32), (0, 0), 0.8)
    return measure_evidence(View(photo, photo, np.rint(soft * 255).astype(np.uint8)))


def region(found: Evidence, kind: str) -> Region:
    return next(each for each in found.regions if each.kind == kind)


def test_a_right_cut_out_has_little_against_it():
    numbers = evidence(scene()[1]).numbers
    assert numbers["ground_inside_share"] < 0.02
    assert numbers["product_outside_share"] < 0.02
    assert numbers["unseen"] < 0.05
    assert numbers["stray"] == 0


def test_ground_in_an_opening_is_seen_and_told_where():
    ring = scene()[1]
    y, x = np.mgrid[:SIDE, :SIDE]
    found = evidence(ring | (np.hypot(x - SIDE / 2, y - SIDE / 2) < 61))
    place = region(found, "ground inside")
    assert found.numbers["ground_inside_share"] >= place.share > 0.1
    assert place.box == pytest.approx((0.38, 0.38, 0.62, 0.62), abs=0.04)
    assert found.product == pytest.approx((0.19, 0.19, 0.81, 0.81), abs=0.02)


def test_a_part_that_is_missing_is_seen_and_told_where():
    ring = scene()[1].copy()
    ring[:, 320:] = False
    found = evidence(ring)
    assert found.numbers["product_outside_share"] > 0.05
    assert region(found, "product outside").box[0] > 0.6


def test_an_outline_on_no_edge_is_seen():
    ring = scene()[1].copy()
    ring[:, 320:] = False
    found = evidence(ring)
    assert found.numbers["unseen"] > 3 * evidence(scene()[1]).numbers["unseen"]
    assert region(found, "no edge").share > 0.02


def test_a_piece_that_is_torn_off_is_seen_and_a_second_product_is_none():
    ring = scene()[1]
    y, x = np.mgrid[:SIDE, :SIDE]
    torn, second = (
        ring | (np.hypot(x - 240, y - at) < radius) for at, radius in ((40, 9), (240, 55))
    )
    assert evidence(torn).numbers["stray"] == 1
    assert evidence(second).numbers["stray"] == 0


def test_rough_ground_and_thin_parts_are_measured():
    photo, ring = scene()
    y, x = np.mgrid[:SIDE, :SIDE]
    thin = ring | ((np.abs(x - 240) < 3) & (y < 240))
    assert evidence(thin).numbers["thin"] > evidence(ring).numbers["thin"]
    plain = np.where(ring[..., None], photo, np.uint8(200))
    on_plain = measure_evidence(View(plain, plain, ring.astype(np.uint8) * 255)).numbers
    assert on_plain["rough"] < evidence(ring).numbers["rough"]
    assert on_plain["busy"] < 0.05


def white_on_white(missing: bool) -> dict[str, float]:
    """A white disc with a handle on white paper whose light falls off, and a soft shadow."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    paper = 240 - 30 * ((x / SIDE - 0.5) ** 2 + (y / SIDE - 0.5) ** 2)
    shadow = np.exp(-(((x - 240) / 140) ** 2) - ((y - 370) / 25) ** 2)
    disc = np.hypot(x - 240, y - 240) < 120
    handle = (np.abs(np.hypot(x - 370, y - 240) - 45) < 8) & (x > 355)
    grey = np.where(disc, 251, np.where(handle, 160, paper - 40 * shadow))
    noise = np.random.default_rng(1).normal(0, 0.7, (SIDE, SIDE, 1))
    photo = np.clip(np.repeat(grey[..., None], 3, 2) + noise, 0, 255).astype(np.uint8)
    cut = cv2.GaussianBlur((disc | (handle & (not missing))).astype(np.float32), (0, 0), 0.8)
    return measure_evidence(View(photo, photo, np.rint(cut * 255).astype(np.uint8))).numbers


def test_an_even_ground_tells_white_from_white_and_what_is_missing_from_a_shadow():
    whole, torn = white_on_white(False), white_on_white(True)
    assert whole["uneven"] < 2
    assert whole["unseen"] < 0.02
    assert whole["like_ground"] < 0.1
    assert whole["missed"] < 0.01 < torn["missed"]


def test_an_empty_cut_out_has_no_evidence():
    assert evidence(np.zeros((SIDE, SIDE), np.bool_)) == Evidence()


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (40, 3)])
def test_the_smallest_products_and_those_that_fill_the_photo_are_measured(size):
    photo, _ = scene()
    alpha = np.zeros(photo.shape[:2], np.uint8)
    alpha[: size[0], : size[1]] = 255
    assert all(np.isfinite(list(measure_evidence(View(photo, photo, alpha)).numbers.values())))
    full = np.full(photo.shape[:2], 255, np.uint8)
    assert all(np.isfinite(list(measure_evidence(View(photo, photo, full)).numbers.values())))


def test_the_same_picture_gives_the_same_numbers():
    assert evidence(scene()[1]) == evidence(scene()[1])
