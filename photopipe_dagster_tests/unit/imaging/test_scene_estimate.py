"""What pictures tell of themselves as scenes."""

from __future__ import annotations

import numpy as np
import pytest

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.imaging.composite import encode_jpeg
from photopipe_dagster.imaging.scene_estimate import estimate_scene


def picture(edge: float | None, fall: float, size: tuple[int, int] = (800, 640)) -> bytes:
    """A ground before a wall, whose lightness falls to the right by a share."""
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    light = np.full_like(rows, 190)
    if edge is not None:
        light[rows < edge * size[1]] = 120
    light *= 1 - fall * columns / size[0]
    grey = np.clip(light + np.random.default_rng(1).normal(0, 1, rows.shape), 0, 255)
    return encode_jpeg(np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2))


@pytest.mark.parametrize("edge", [0.4, 0.6])
def test_products_stand_in_front_of_the_far_edge(edge: float):
    found = estimate_scene(picture(edge, 0.2))
    assert edge + 0.1 < found.view.ground < 0.95
    assert not found.view.light.plain
    assert found.confidence["ground"] > 0.5


@pytest.mark.parametrize(("fall", "side"), [(0.25, "left"), (-0.25, "right")])
def test_the_ground_is_brighter_towards_the_light(fall: float, side: str):
    found = estimate_scene(picture(0.5, fall))
    azimuth = found.view.light.azimuth_degrees
    assert ("left" if azimuth > 180 else "right") == side
    assert found.confidence["azimuth"] > 0.3


def test_what_cannot_be_told_is_usual_and_unsure():
    found = estimate_scene(picture(None, 0.0))
    assert found.view.light.plain
    assert found.confidence["ground"] <= 0.2
    assert found.confidence["azimuth"] <= 0.1
    assert found.confidence["elevation"] == 0


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "JPEG"),
        (picture(None, 0, (500, 900)), "500×900"),
        (b"", "file"),
    ],
)
def test_what_is_no_scene_is_refused(data: bytes, says: str):
    with pytest.raises(PhotoRejectedError, match=says):
        estimate_scene(data)


def test_sixty_megapixels_are_refused_by_the_header():
    jpeg = bytearray(encode_jpeg(np.zeros((16, 16, 3), np.uint8)))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = (6000).to_bytes(2, "big") + (10_000).to_bytes(2, "big")
    with pytest.raises(PhotoRejectedError, match="60"):
        estimate_scene(bytes(jpeg))
