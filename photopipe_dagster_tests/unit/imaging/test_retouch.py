"""Strokes and clicks on a cut-out whose parts are known."""

import numpy as np
import pytest
from pydantic import ValidationError

from photopipe_dagster.imaging.retouch import Operation, Tool, repainted, retouched

SIDE = 400
GROUND, PRODUCT, HANDLE = (230, 230, 228), (30, 90, 160), (34, 86, 158)


def scene():
    """A photo of a blue block with a hole and a handle of nearly its colour beside it."""
    photo = np.full((SIDE, SIDE, 3), GROUND, np.uint8)
    photo[100:300, 100:260] = PRODUCT
    photo[180:220, 160:200] = GROUND
    photo[150:250, 300:330] = HANDLE
    alpha = np.zeros((SIDE, SIDE), np.uint8)
    alpha[100:300, 100:260] = 255
    return photo, alpha


def operation(tool, *points, **more):
    return Operation(
        tool=tool, points=[(x / (SIDE - 1), y / (SIDE - 1)) for x, y in points], **more
    )


def test_strokes_keep_and_remove_what_they_cover():
    photo, alpha = scene()
    kept = retouched(photo, alpha, [operation(Tool.KEEP, (315, 160), (315, 240), size=0.05)])
    assert kept[200, 315] == 255
    assert (kept[:, :290] == alpha[:, :290]).all(), "nothing else has changed"
    removed = retouched(photo, kept, [operation(Tool.REMOVE, (180, 200), size=0.1)])
    assert removed[200, 180] == 0
    assert removed[200, 140] == 255
    assert set(np.unique(removed)) > {0, 255}, "the edge of a stroke is soft"


def test_a_colour_is_added_and_removed_by_a_click():
    photo, alpha = scene()
    added = retouched(photo, alpha, [operation(Tool.ADD_AREA, (315, 200))])
    assert (added[155:245, 303:327] > 250).all()
    assert added[200, 280] == 0
    opened = retouched(photo, added, [operation(Tool.REMOVE_AREA, (180, 200))])
    assert (opened[183:217, 163:197] < 5).all()
    assert opened[120, 120] == 255


def test_a_hole_is_closed_and_one_piece_is_the_product():
    photo, alpha = scene()
    alpha[180:220, 160:200] = 0
    alpha[150:250, 300:330] = 255
    closed = retouched(photo, alpha, [operation(Tool.FILL_HOLE, (180, 200))])
    assert closed[200, 180] == 255
    only = retouched(photo, closed, [operation(Tool.ONLY_THIS, (120, 120))])
    assert only[200, 315] == 0
    assert (only[:, :270] == closed[:, :270]).all()


@pytest.mark.parametrize(
    ("tool", "place"),
    [
        (Tool.ADD_AREA, (120, 120)),
        (Tool.REMOVE_AREA, (20, 20)),
        (Tool.FILL_HOLE, (20, 20)),
        (Tool.FILL_HOLE, (120, 120)),
        (Tool.ONLY_THIS, (20, 20)),
        (Tool.ONLY_THIS, (120, 120)),
    ],
)
def test_a_click_that_means_nothing_changes_nothing(tool, place):
    photo, alpha = scene()
    assert (retouched(photo, alpha, [operation(tool, place)]) == alpha).all()


@pytest.mark.parametrize("corner", [(0, 0), (SIDE - 1, 0), (0, SIDE - 1), (SIDE - 1, SIDE - 1)])
@pytest.mark.parametrize("tool", list(Tool))
def test_every_tool_works_in_every_corner(tool, corner):
    photo, alpha = scene()
    assert retouched(photo, alpha, [operation(tool, corner, size=0.5)]).shape == alpha.shape


def test_an_operation_means_the_same_at_another_resolution():
    photo, alpha = scene()
    strokes = [operation(Tool.KEEP, (315, 160), (315, 240), size=0.05)]
    double = retouched(photo.repeat(2, 0).repeat(2, 1), alpha.repeat(2, 0).repeat(2, 1), strokes)
    once = retouched(photo, alpha, strokes)
    apart = (double[::2, ::2] >= 128) ^ (once >= 128)
    assert apart.sum() < 0.02 * (once >= 128).sum()


def test_pixels_whose_alpha_stays_keep_their_colour():
    photo, alpha = scene()
    before = np.dstack((np.full_like(photo, 7), alpha))
    after = retouched(photo, alpha, [operation(Tool.ADD_AREA, (315, 200))])
    rgba = repainted(photo, before, after)
    same = after == alpha
    assert (rgba[same, :3] == 7).all()
    assert np.abs(rgba[200, 315, :3].astype(int) - HANDLE).max() <= 1
    assert (rgba[..., 3] == after).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"tool": "paint", "points": [[0, 0]]},
        {"tool": "keep", "points": []},
        {"tool": "keep", "points": [[0, 1.01]]},
        {"tool": "keep", "points": [["NaN", 0]]},
        {"tool": "keep", "points": [[0, 0]] * 2001},
        {"tool": "keep", "points": [[0, 0]], "size": 0},
        {"tool": "keep", "points": [[0, 0]], "tolerance": 0},
        {"tool": "keep", "points": [[0, 0]], "colour": "red"},
    ],
)
def test_what_is_no_operation_is_refused(wrong):
    with pytest.raises(ValidationError):
        Operation.model_validate(wrong)
