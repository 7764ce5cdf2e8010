"""CIEDE2000 against the pairs that its authors published to check implementations with."""

from __future__ import annotations

import numpy as np
import pytest

from photopipe_dagster.imaging.colour import delta_e, lab

Colour = tuple[float, float, float]


# Sharma, Wu, Dalal: The CIEDE2000 Color-Difference Formula, 2005, table 1; a choice of it.
@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0000),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
        ((90.8027, -2.0831, 1.4410), (91.1528, -1.6435, 0.0447), 1.4441),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_published_pairs(first: Colour, second: Colour, expected: float) -> None:
    one, other = np.float32([first]), np.float32([second])
    assert delta_e(one, other)[0] == pytest.approx(expected, abs=2e-4)
    assert delta_e(other, one)[0] == pytest.approx(expected, abs=2e-4)
    assert delta_e(one, one)[0] == 0


def test_lab_of_known_colours() -> None:
    rgb = np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)
    expected = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86]]
    assert lab(rgb) == pytest.approx(np.array(expected), abs=0.01)
