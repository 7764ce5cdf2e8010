"""Parts of a scene for canvases of any shape."""

from __future__ import annotations

import pytest

from photopipe_dagster.imaging.scene_view import SceneView


@pytest.mark.parametrize("canvas", [(1000, 1000), (800, 1000), (1600, 900), (400, 1500)])
@pytest.mark.parametrize(
    "view",
    [
        SceneView(3000, 2000, 0.75),
        SceneView(2000, 3000, 0.6, stand=(0.5, 0.95)),
        SceneView(3000, 2000, 0.7, safe=(0.1, 0.2, 0.9, 0.95)),
    ],
)
def test_every_shape_shows_the_ground_line_at_the_same_height(view: SceneView, canvas):
    left, top, right, bottom = view.crop(*canvas)
    safe = (view.safe[0] * view.width, view.safe[1] * view.height)
    assert left >= safe[0] - 1
    assert top >= safe[1] - 1
    assert right <= view.safe[2] * view.width + 1
    assert bottom <= view.safe[3] * view.height + 1
    assert (right - left) / (bottom - top) == pytest.approx(canvas[0] / canvas[1], rel=0.005)
    share = (view.ground - view.safe[1]) / (view.safe[3] - view.safe[1])
    assert view.stand_in(*canvas).ground == pytest.approx(share, abs=0.002)


def test_no_canvas_enlarges_a_scene():
    view = SceneView(1200, 800, 0.75)
    assert view.fitted(2048, 2048) == (800, 800)
    assert view.fitted(500, 400) == (500, 400)


def test_centimetres_are_the_same_in_every_canvas():
    view = SceneView(3000, 2000, 0.75, pixels_per_cm=40)
    for width, height in ((1000, 1000), (600, 1200)):
        _, top, _, bottom = view.crop(width, height)
        share = view.height_share(25, width, height)
        assert share == pytest.approx(25 * 40 / (bottom - top))
    assert SceneView(3000, 2000, 0.75).height_share(25, 1000, 1000) is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"ground": 1.0}, "ground"),
        ({"ground": 0.1}, "ground"),
        ({"stand": (0.9, 0.1)}, "stand"),
        ({"safe": (0.0, 0.0, 1.2, 1.0)}, "safe"),
        ({"pitch_degrees": 100}, "pitch"),
        ({"pixels_per_cm": 0}, "pixels_per_cm"),
    ],
)
def test_numbers_that_cannot_be_are_named(change, named: str):
    with pytest.raises(ValueError, match=named):
        SceneView(**{"width": 3000, "height": 2000, "ground": 0.75, **change})


def test_json_keeps_it_all():
    view = SceneView(3000, 2000, 0.7, stand=(0.2, 0.8), pixels_per_cm=12.5)
    assert SceneView.from_json({**view.to_json(), "of_a_later_version": 1}) == view
