"""What would stand on a point is told from what stands, by its outline."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from photopipe_dagster.imaging.stability import firmness

Alpha = NDArray[np.uint8]


def outline(*polygons: list[tuple[float, float]], size: int = 400) -> Alpha:
    """Polygons (or their union) in shares of the size, cropped to their box."""
    alpha = np.zeros((size, size), np.uint8)
    for polygon in polygons:
        points = np.rint(np.array(polygon) * size).astype(np.int32)
        cv2.fillPoly(alpha, [points], 255, cv2.LINE_AA)
    left, top, width, height = cv2.boundingRect(alpha)
    return np.ascontiguousarray(alpha[top : top + height, left : left + width])


def ellipse(
    across: float, down: float, x: float = 0.5, y: float = 0.5
) -> list[tuple[float, float]]:
    turns = np.linspace(0, 2 * math.pi, 120)
    return [(x + across * math.cos(t), y + down * math.sin(t)) for t in turns]


def turned(width: float, height: float, degrees: float) -> list[tuple[float, float]]:
    """A sheet that lies askew."""
    angle = math.radians(degrees)
    corners = [(-width, -height), (width, -height), (width, height), (-width, height)]
    return [
        (
            0.5 + x * math.cos(angle) / 2 - y * math.sin(angle) / 2,
            0.5 + x * math.sin(angle) / 2 + y * math.cos(angle) / 2,
        )
        for x, y in corners
    ]


def rectangle(x0: float, y0: float, x1: float, y1: float) -> list[tuple[float, float]]:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def box_with_a_corner_to_the_camera(pitch: float) -> list[tuple[float, float]]:
    """A cube turned by 45°, seen from above by so many degrees."""
    rise, tall = 0.3 * math.sin(math.radians(pitch)), 0.42 * math.cos(math.radians(pitch))
    low, high = 0.7, 0.7 - tall
    return [
        (0.5, low),
        (0.8, low - rise),
        (0.8, high - rise),
        (0.5, high - 2 * rise),
        (0.2, high - rise),
        (0.2, low - rise),
    ]


STANDS = {
    "a box": outline(rectangle(0.2, 0.3, 0.8, 0.7)),
    "a ball": outline(ellipse(0.3, 0.3)),
    "a plate from above": outline(ellipse(0.4, 0.37)),
    "a bottle": outline(rectangle(0.42, 0.1, 0.58, 0.8), ellipse(0.08, 0.015, 0.5, 0.8)),
    "a tall jar from above": outline(rectangle(0.4, 0.2, 0.6, 0.7), ellipse(0.1, 0.035, 0.5, 0.7)),
    "a mug": outline(rectangle(0.3, 0.3, 0.7, 0.7), ellipse(0.12, 0.12, 0.72, 0.5)),
    "a box from its corner": outline(box_with_a_corner_to_the_camera(30)),
    "a table": outline(
        rectangle(0.1, 0.3, 0.9, 0.35),
        rectangle(0.1, 0.3, 0.13, 0.8),
        rectangle(0.87, 0.3, 0.9, 0.8),
    ),
    "a wine glass": outline(
        ellipse(0.15, 0.2, 0.5, 0.3),
        rectangle(0.49, 0.45, 0.51, 0.8),
        ellipse(0.11, 0.025, 0.5, 0.8),
    ),
    "two bottles": outline(rectangle(0.3, 0.2, 0.42, 0.8), rectangle(0.58, 0.2, 0.7, 0.8)),
    "mascara": outline(rectangle(0.47, 0.1, 0.53, 0.8)),
}

LIES = {
    "a book askew": outline(turned(0.6, 0.45, 40)),
    "a card askew": outline(turned(0.5, 0.5, 45)),
    "a spoon": outline(ellipse(0.07, 0.12, 0.5, 0.7), rectangle(0.48, 0.1, 0.52, 0.7)),
    "a pair of soles": outline(ellipse(0.1, 0.35, 0.38), ellipse(0.1, 0.35, 0.62)),
    "a tie": outline([(0.45, 0.1), (0.55, 0.1), (0.6, 0.75), (0.5, 0.85), (0.4, 0.75)]),
    "a shoe at an angle": outline(
        [
            (0.05, 0.45),
            (0.05, 0.6),
            (0.55, 0.85),
            (0.75, 0.86),
            (0.95, 0.75),
            (0.95, 0.6),
            (0.5, 0.35),
        ]
    ),
}


@pytest.mark.parametrize("alpha", STANDS.values(), ids=STANDS)
def test_what_stands_is_firm(alpha: Alpha) -> None:
    assert firmness(alpha) >= 1


@pytest.mark.parametrize("alpha", LIES.values(), ids=LIES)
def test_what_ends_in_a_point_is_not(alpha: Alpha) -> None:
    assert firmness(alpha) < 1


@pytest.mark.parametrize("alpha", [*STANDS.values(), *LIES.values()], ids=[*STANDS, *LIES])
def test_it_is_the_same_at_every_resolution(alpha: Alpha) -> None:
    larger = np.asarray(cv2.resize(alpha, None, fx=4, fy=4), np.uint8)
    assert firmness(larger) == pytest.approx(firmness(alpha), rel=0.04)
    assert (firmness(larger) < 1) == (firmness(alpha) < 1)


def test_a_thread_below_the_product_is_not_its_base() -> None:
    alpha = np.zeros((200, 200), np.uint8)
    alpha[:150] = 255
    alpha[150:, 60:62] = 255
    assert firmness(alpha) >= 1


def test_a_crumb_does_not_stand_for_the_product() -> None:
    alpha = np.zeros((200, 200), np.uint8)
    alpha[:, :150] = 255
    alpha[180:, 170:176] = np.tril(np.full((20, 6), 255, np.uint8))
    assert firmness(alpha) >= 1


def test_what_does_not_reach_the_ground_is_not_asked() -> None:
    """A slender tag with a round end that hangs beside the product."""
    alpha = np.zeros((300, 300), np.uint8)
    alpha[:, :180] = 255
    cv2.ellipse(alpha, (250, 100), (30, 90), 0, 0, 360, 255, -1)
    assert firmness(alpha) >= 1


@pytest.mark.parametrize("alpha", [np.full((1, 1), 255), np.full((3, 2), 90), np.full((1, 40), 1)])
def test_the_smallest_and_faintest_products_can_be_asked(alpha: NDArray[np.int_]) -> None:
    assert firmness(alpha.astype(np.uint8)) > 0
