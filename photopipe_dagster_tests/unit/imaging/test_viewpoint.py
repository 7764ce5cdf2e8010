"""From how far above a product was photographed is told by its round base, or not at all."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from photopipe_dagster.imaging.stability import firmness
from photopipe_dagster.imaging.viewpoint import STEEP, RoundBase, round_base
from photopipe_dagster_tests.unit.imaging.silhouettes import (
    CAN,
    CUP_ON_A_SAUCER,
    MUG,
    PLATE,
    Alpha,
    Solid,
    box,
    edge,
    handle,
    lifted,
    pillow,
    rod,
    rounded,
    seen,
    turned,
)

BAIL = np.column_stack(
    [
        0.85 * np.cos(np.linspace(0, math.pi, 20)),
        -0.5 * np.sin(np.linspace(0, math.pi, 20)),
        1.5 + 0.3 * np.sin(np.linspace(0, math.pi, 20)),
    ]
)

ROUND = {
    "a can": CAN,
    "a tin": turned((1, 0), (1, 0.5)),
    "a plate": PLATE,
    "a cup on a saucer": CUP_ON_A_SAUCER,
    "a cup on a saucer, with a handle": [*CUP_ON_A_SAUCER, *handle(0.6, 20)],
    "a mug": MUG,
    "a mug with its handle aside": [*MUG, *handle(0.5)],
    "a mug with its handle behind": [*MUG, *handle(0.5, 135)],
    "a paper cup": turned((0.38, 0), (0.52, 1.2)),
    "a pail with a bail": [*turned((0.7, 0), (0.85, 1.5)), *rod(BAIL, 0.03)],
    "a bottle": turned((0.4, 0), (0.4, 1.7), (0.38, 1.8), (0.16, 2.3), (0.15, 2.8)),
    "a jar": turned((0.5, 0), (0.5, 1), (0.42, 1.1), (0.42, 1.25)),
    "a wine glass": [
        *turned((0.45, 0), (0.45, 0.02), (0.05, 0.05), (0.05, 1)),
        *turned((0.05, 1), (0.35, 1.15), (0.47, 1.5), (0.4, 2)),
    ],
    "a cake": turned((1, 0), (1, 0.7)),
    "a cone": turned((0.7, 0), (0, 1.5)),
    "a hat": [*turned((1.2, 0), (1.2, 0.03)), *turned((0.6, 0), (0.58, 0.5), (0.4, 0.65))],
    "a helmet": [*turned((1, 0), (1, 0.3)), *lifted(rounded(1, 0.9, 0), 0.3)],
}

ROUND_EDGES = {
    "a bottle": turned(*edge(0.4, 0.06), (0.4, 1.7), (0.38, 1.8), (0.16, 2.3), (0.15, 2.8)),
    "a jar": turned(*edge(0.5, 0.08), (0.5, 1), (0.42, 1.1), (0.42, 1.25)),
    "a can": turned(*edge(0.5, 0.1), (0.5, 1.4)),
}

NOT_ROUND = {
    "a box": box(1, 0.6, 1.3),
    "a box, turned": box(1, 0.6, 1.3, 20),
    "a box from its corner": box(1, 1, 1, 45),
    "a book": box(1, 1.4, 0.2, 10),
    "a book askew": box(1, 1.4, 0.2, 40),
    "a cushion": pillow(2, 0.5),
    "a rounded box": [np.vstack((*pillow(1.4, 1), *lifted(pillow(1.4, 1), 0.8)))],
    "a hexagonal box": [np.vstack(turned((0.7, 0), (0.7, 1)))[::16]],
    "a ball": rounded(1, 1),
    "half a ball": rounded(1, 1, last=0),
    "an egg": rounded(0.75, 1),
    "a bag": [
        np.array([(x, y, z) for x, z in ((0.6, 0), (0.8, 1.2)) for y in (-0.3, 0.3)])
        * np.array([[sign, 1, 1]])
        for sign in (-1, 1)
    ],
}


def degrees(alpha: Alpha) -> float:
    base = round_base(alpha)
    return 0.0 if base is None else base.degrees


@pytest.mark.parametrize("above", [40, 45, 50, 55, 60])
@pytest.mark.parametrize("solid", ROUND.values(), ids=ROUND)
def test_a_round_base_tells_how_steeply_it_is_seen(solid: Solid, above: int) -> None:
    assert degrees(seen(solid, above)) == pytest.approx(above, abs=3)


@pytest.mark.parametrize("above", [40, 45, 50, 55, 60])
@pytest.mark.parametrize("solid", ROUND_EDGES.values(), ids=ROUND_EDGES)
def test_a_rounded_edge_looks_a_little_steeper(solid: Solid, above: int) -> None:
    assert above < degrees(seen(solid, above)) < above + 6


@pytest.mark.parametrize("above", [0, 5, 10, 15, 20, 25, 30])
@pytest.mark.parametrize("solid", ROUND.values(), ids=ROUND)
def test_what_was_photographed_from_near_its_own_height_is_not_steep(
    solid: Solid, above: int
) -> None:
    assert degrees(seen(solid, above)) <= 33


@pytest.mark.parametrize("above", range(0, 61, 10))
@pytest.mark.parametrize("solid", NOT_ROUND.values(), ids=NOT_ROUND)
def test_what_has_no_round_base_tells_nothing(solid: Solid, above: int) -> None:
    assert round_base(seen(solid, above)) is None


@pytest.mark.parametrize("above", [0, 10, 20])
@pytest.mark.parametrize("height", [0.6, 0.7, 0.8, 0.9])
def test_a_bowl_from_the_side_is_not_a_plate_from_above(height: float, above: int) -> None:
    assert round_base(seen(rounded(1, height, last=0), above)) is None


@pytest.mark.parametrize("above", [70, 80, 90])
def test_what_is_seen_from_right_above_may_be_a_ball(above: int) -> None:
    assert round_base(seen(PLATE, above)) is None


def test_the_base_is_where_it_was_drawn() -> None:
    alpha = np.zeros((300, 420), np.uint8)
    cv2.ellipse(alpha, (200, 180), (200, 120), 0, 0, 360, 255, -1, cv2.LINE_AA)
    alpha = alpha[60:, :401]
    base = round_base(alpha)
    assert base is not None
    assert (base.x, base.y) == pytest.approx((200.5, 120.5), abs=1.5)
    assert (base.across, base.down) == pytest.approx((200, 120), abs=1.5)
    assert base.line == pytest.approx(241, abs=1)
    assert base.degrees == pytest.approx(math.degrees(math.asin(0.6)), abs=0.5)


@pytest.mark.parametrize(("down", "steep"), [(50, False), (57, False), (58, True), (90, True)])
def test_steep_begins_well_above_the_height_of_the_scenes_cameras(down: float, steep: bool) -> None:
    assert RoundBase(100, 100, 100, down).steep is steep
    assert STEEP == 35


@pytest.mark.parametrize("size", [100, 200, 777, 2048])
def test_it_is_the_same_at_every_resolution(size: int) -> None:
    assert degrees(seen(CUP_ON_A_SAUCER, 50, size)) == pytest.approx(50, abs=2.5)
    assert degrees(seen([*MUG, *handle(0.5)], 45, max(160, size))) == pytest.approx(45, abs=2.5)
    assert round_base(seen(NOT_ROUND["a cushion"], 45, size)) is None


@pytest.mark.parametrize("strongest", [8, 60, 127, 200])
def test_glass_is_looked_at_as_well(strongest: int) -> None:
    alpha = seen(CAN, 45).astype(np.int64) * strongest // 255
    assert degrees(alpha.astype(np.uint8)) == pytest.approx(45, abs=3)


@pytest.mark.parametrize("lean", [-5, 5])
def test_a_camera_that_was_held_askew_does_not_matter(lean: float) -> None:
    alpha = np.pad(seen(CUP_ON_A_SAUCER, 50), 120)
    middle = (alpha.shape[1] / 2, alpha.shape[0] / 2)
    matrix = cv2.getRotationMatrix2D(middle, lean, 1)
    leaning = cv2.warpAffine(alpha, matrix, alpha.shape[::-1])
    left, top, width, height = cv2.boundingRect(cv2.inRange(leaning, 8, 255))
    assert degrees(leaning[top : top + height, left : left + width]) == pytest.approx(50, abs=2)


def test_threads_spoons_and_crumbs_are_left_out() -> None:
    alpha = seen(PLATE, 45)
    height, width = alpha.shape
    alpha = np.pad(alpha, ((0, 6), (0, 60)))
    cv2.line(alpha, (width // 2, height // 2), (width + 55, height // 3), 255, 12)
    alpha[height + 3 :, 30:36] = 255
    assert degrees(alpha) == pytest.approx(45, abs=2)


def test_what_ends_below_in_something_thin_stands_on_no_round_base() -> None:
    alpha = np.pad(seen(PLATE, 45), ((0, 80), (0, 0)))
    alpha[:, 238:242] = 255
    assert round_base(alpha) is None


def test_a_steep_bottle_is_steep_rather_than_infirm() -> None:
    """From above, a slender thing with a round base may look as if it stood on a point."""
    assert firmness(seen(ROUND["a bottle"], 50)) < 1
    assert degrees(seen(ROUND["a bottle"], 50)) > STEEP


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (1, 40), (40, 1), (9, 9), (2, 400)])
@pytest.mark.parametrize("value", [1, 90, 255])
def test_the_smallest_and_faintest_products_can_be_asked(
    shape: tuple[int, int], value: int
) -> None:
    assert round_base(np.full(shape, value, np.uint8)) is None
