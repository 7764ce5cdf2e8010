"""A product's place is a matter of sums: share, canvas, ground, and no silent enlarging."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photopipe_dagster.imaging.placement import (
    TWENTY_MEGAPIXELS,
    Box,
    Canvas,
    Placement,
    SizeLimit,
    Spot,
    frame_share,
    place,
)


def laid(box: Box, spot: Spot) -> tuple[float, float, float, float]:
    """Where the product comes to lie in the picture."""
    left, right = (x * spot.scale_x + spot.left for x in box[::2])
    top, bottom = (y * spot.scale_y + spot.top for y in box[1::2])
    return left, top, right, bottom


def test_nothing_asked_is_as_photographed() -> None:
    assert place((10, 20, 300, 400), (500, 600)) == Spot(500, 600, 1, 1, 0, 0)


@pytest.mark.parametrize(
    ("text", "photo", "size"),
    [
        ("2048x2048", (600, 400), (2048, 2048)),
        ("9000x3000", (600, 400), (4472, 1490)),
        ("4:5", (1000, 1000), (1000, 1250)),
        ("4:5", (1000, 2000), (1600, 2000)),
        ("1:1", (600, 400), (600, 600)),
    ],
)
def test_a_canvas_is_pixels_or_a_shape(
    text: str, photo: tuple[int, int], size: tuple[int, int]
) -> None:
    canvas = Canvas.parse(text)
    assert canvas is not None
    assert canvas.size(photo) == size


def test_a_canvas_that_makes_no_sense_is_refused() -> None:
    assert Canvas.parse("") is None
    for text in ("2048", "0x10", "4:0", "4/5", "2048x2048px", "-1x2"):
        with pytest.raises(ValueError, match="2048x2048 or 4:5"):
            Canvas.parse(text)


@pytest.mark.parametrize(
    "wrong", [{"share": 0.0}, {"share": 1.2}, {"ground": 1.0}, {"max_scale": 0.5}, {"min_side": 0}]
)
def test_a_placement_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Placement(**wrong)  # type: ignore[arg-type]


def test_a_product_spans_its_share_in_the_middle_of_the_canvas() -> None:
    box = (100, 50, 700, 350)
    spot = place(box, (1000, 500), Placement(share=0.8, max_scale=9), Canvas(1500, 2000, True))
    left, top, right, bottom = laid(box, spot)
    assert (right - left) / 1500 == pytest.approx(0.8)
    assert (left + right, top + bottom) == pytest.approx((1500, 2000))
    assert spot.scale == pytest.approx(2)


def test_a_smaller_canvas_is_taken_rather_than_enlarging() -> None:
    box = (100, 100, 500, 300)
    spot = place(box, (800, 600), Placement(share=0.8), Canvas(2000, 1000, True))
    assert (spot.width, spot.height) == (500, 250)
    assert spot.moved_only
    assert isinstance(spot.left, int)
    assert frame_share(laid(box, spot), spot.width, spot.height) == pytest.approx(0.8)  # type: ignore[arg-type]


def test_below_the_least_side_the_product_is_enlarged_and_the_scale_says_so() -> None:
    box = (100, 100, 500, 300)
    placement = Placement(share=0.8, min_side=1000)
    spot = place(box, (800, 600), placement, Canvas(2000, 1000, True))
    assert (spot.width, spot.height) == (1000, 500)
    assert spot.scale == pytest.approx(2)


def test_a_product_stands_no_higher_than_the_ground() -> None:
    placement = Placement(ground=0.75)
    high, low = (100, 50, 300, 200), (100, 50, 300, 380)
    assert laid(high, place(high, (400, 400), placement))[3] == 300
    assert place(low, (400, 400), placement).top == 0
    # What the frame cuts off at its lower end stands nowhere, and is not moved.
    assert place(high, (400, 400), placement, stands=False).top == 0
    # What hangs from the frame's top is not torn off it.
    hanging = (100, 0, 300, 200)
    assert place(hanging, (400, 400), placement).top == 0


def test_the_ground_holds_for_a_share_too() -> None:
    box = (0, 40, 400, 140)
    spot = place(box, (401, 200), Placement(share=0.5, ground=0.9), Canvas(400, 400, True))
    assert laid(box, spot)[3] == pytest.approx(360)


@pytest.mark.parametrize(
    ("box", "edge", "expected"),
    [
        ((100, 200, 300, 400), 3, 600),  # cut off below
        ((100, 0, 300, 200), 1, 0),  # above
        ((0, 100, 200, 300), 0, 0),  # at the left
        ((200, 100, 400, 300), 2, 600),  # at the right
    ],
)
def test_a_product_that_the_frame_cuts_off_stays_at_that_edge(
    box: Box, edge: int, expected: float
) -> None:
    for placement in (Placement(share=0.5), Placement()):
        spot = place(box, (400, 400), placement, Canvas(600, 600, True), stands=False)
        factor = spot.width / 600
        assert laid(box, spot)[edge] == pytest.approx(expected * factor, abs=0.6)


def test_sizes_are_kept_within_a_limit() -> None:
    limit = TWENTY_MEGAPIXELS
    assert limit.fit(2048, 2048) == (2048, 2048)
    assert limit.fit(4472, 4472) == (4472, 4472)
    for width, height in ((8000, 6000), (6000, 1000), (100, 9000), (4472, 4473), (20000, 1)):
        fit = limit.fit(width, height)
        assert max(fit) <= limit.side
        assert fit[0] * fit[1] <= limit.pixels
        assert min(fit) >= 1
        if min(width, height) > 500:
            assert fit[0] / fit[1] == pytest.approx(width / height, rel=0.01)


def test_a_shop_that_takes_less_gets_a_smaller_picture() -> None:
    small = SizeLimit(side=1000, pixels=800_000)
    spot = place((10, 20, 300, 400), (2000, 1000), limit=small)
    assert (spot.width, spot.height) == (1000, 500)
    square = place((10, 20, 300, 400), (2000, 1000), canvas=Canvas(1, 1, False), limit=small)
    assert (square.width, square.height) == (894, 894)


@given(
    photo=st.tuples(st.integers(64, 5000), st.integers(64, 5000)),
    corner=st.tuples(st.floats(0, 0.9), st.floats(0, 0.9)),
    extent=st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)),
    share=st.none() | st.floats(0.1, 1),
    ground=st.none() | st.floats(0.3, 0.95),
    canvas=st.sampled_from(["", "1:1", "4:5", "2000x2000", "1600x900"]),
)
def test_the_product_is_always_in_the_picture(
    photo: tuple[int, int],
    corner: tuple[float, float],
    extent: tuple[float, float],
    share: float | None,
    ground: float | None,
    canvas: str,
) -> None:
    width, height = photo
    left, top = int(corner[0] * width), int(corner[1] * height)
    right = min(width, left + max(1, int(extent[0] * width)))
    bottom = min(height, top + max(1, int(extent[1] * height)))
    box = (left, top, right, bottom)
    spot = place(box, photo, Placement(share=share, ground=ground), Canvas.parse(canvas))
    found = laid(box, spot)
    assert min(found) >= -1
    assert found[2] <= spot.width + 1
    assert found[3] <= spot.height + 1
    assert max(spot.width, spot.height) <= TWENTY_MEGAPIXELS.side
    assert spot.scale <= 1 + 1e-9


def test_themes_can_carry_placements_without_loading_imaging() -> None:
    modules = "photopipe_dagster.imaging.placement, photopipe_dagster.imaging.marketplace"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; print('numpy' in sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "False"
