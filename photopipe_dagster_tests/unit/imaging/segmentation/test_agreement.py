"""Several looks made one."""

import numpy as np
import pytest

from photopipe_dagster.imaging.segmentation.agreement import agreed


def looks(*parts):
    """Maps of a square product, each with other values in one place."""
    made = []
    for rows, columns, value in parts:
        seen = np.zeros((320, 320), np.float32)
        seen[80:240, 80:240] = 1
        seen[rows, columns] = value
        made.append(seen)
    return made


NOTHING = (slice(0, 0), slice(0, 0), 0.0)
PROP = (slice(100, 120), slice(250, 290), 1.0)
HOLE = (slice(140, 180), slice(200, 230), 0.0)


def photo(hole=(230, 230, 230)):
    """A blue square on light paper; what is in the hole is to be seen."""
    rgb = np.full((640, 640, 3), 230, np.uint8)
    rgb[160:480, 160:480] = (30, 60, 140)
    rgb[280:360, 400:460] = hole
    return rgb


def test_looks_that_agree_are_left_as_they_are():
    (seen,) = looks(NOTHING)
    made = agreed([seen, seen, seen], photo((30, 60, 140)))
    np.testing.assert_array_equal(made.map, seen)
    assert (made.disagreement, made.ground_share) == (0, 0)


def test_one_look_alone_adds_nothing():
    made = agreed(looks(NOTHING, PROP, NOTHING), photo((30, 60, 140)))
    np.testing.assert_array_equal(made.map, looks(NOTHING)[0])
    assert made.disagreement == pytest.approx(20 * 40 / 160**2)


def test_one_look_alone_takes_nothing_away():
    made = agreed(looks(NOTHING, HOLE, NOTHING), photo((30, 60, 140)))
    assert made.map[160, 215] == 1


def test_an_opening_that_one_look_saw_is_one_where_the_ground_is_seen_through_it():
    made = agreed(looks(NOTHING, HOLE, NOTHING), photo())
    assert made.map[145:175, 205:225].max() < 0.5
    assert made.map[100:140, 100:140].min() == 1


def test_an_opening_that_no_look_saw_is_none_but_is_told():
    made = agreed(looks(NOTHING, NOTHING, NOTHING), photo())
    assert made.map[160, 215] == 1
    assert made.ground_share == pytest.approx(40 * 30 / 160**2, rel=0.1)


def test_colour_says_nothing_before_a_ground_that_is_not_plain():
    rgb = photo()
    noise = np.random.default_rng(1).integers(0, 255, (640, 640, 1)).astype(np.uint8)
    ground = rgb[..., 0] == 230
    rgb[ground] = np.repeat(noise, 3, axis=2)[ground]
    # Seen in the network's grid, noise of single pixels would be plain again.
    rgb = np.ascontiguousarray(rgb[::8, ::8].repeat(8, axis=0).repeat(8, axis=1))
    made = agreed(looks(NOTHING, HOLE, NOTHING), rgb)
    assert made.map[160, 215] == 1
    assert made.ground_share == 0
