"""What was done to a product is found; what was done beside it does not count."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from photopipe_dagster.imaging.fidelity import NOTHING_OPAQUE, Fidelity, compare

Pixels = NDArray[np.uint8]


def product(height: int = 300, width: int = 260) -> tuple[Pixels, Pixels]:
    """A disc with lettering and cloth-like texture, and its alpha."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(60, 200, (12, 10, 3), dtype=np.uint8)
    rgb = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    for row in range(40, height, 50):
        cv2.putText(rgb, "GENUINE", (20, row), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (15, 15, 20), 4)
    alpha = np.zeros((height, width), np.uint8)
    cv2.circle(alpha, (width // 2, height // 2), width // 2 - 4, 255, -1)
    return np.asarray(rgb, np.uint8), alpha


def jpeg(rgb: Pixels, quality: int) -> Pixels:
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", rgb, settings)[1], cv2.IMREAD_COLOR))


def test_the_same_is_the_same() -> None:
    rgb, alpha = product()
    found = compare(rgb, rgb.copy(), alpha)
    assert (found.median, found.p99, found.structure, found.edges) == (0, 0, 1, 1)
    assert 10_000 < found.pixels <= 20_480


def test_only_what_is_under_the_mask_counts() -> None:
    rgb, alpha = product()
    elsewhere = rgb.copy()
    elsewhere[alpha == 0] = 255 - elsewhere[alpha == 0]
    assert compare(rgb, elsewhere, alpha).p99 == 0
    soft = np.where(alpha == 255, 254, 0).astype(np.uint8)
    assert compare(rgb, elsewhere, soft) == NOTHING_OPAQUE


def shifted(rgb: Pixels) -> Pixels:
    return np.roll(rgb, 1, axis=1)


def warmer(rgb: Pixels) -> Pixels:
    return np.clip(rgb * np.array([1.06, 1.0, 0.94]), 0, 255).astype(np.uint8)


def blurred(rgb: Pixels) -> Pixels:
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), 1.5), np.uint8)


def repainted(rgb: Pixels) -> Pixels:
    """A twentieth of the product is another picture."""
    other = rgb.copy()
    other[100:145, 60:160] = rgb[200:245, 60:160][::-1]
    return other


@pytest.mark.parametrize(
    ("change", "told_by"),
    [
        (shifted, lambda found: found.edges < 0.97 and found.p99 > 4),
        (warmer, lambda found: found.median > 1),
        (blurred, lambda found: found.edges < 0.95 and found.structure < 0.99),
        (repainted, lambda found: found.p99 > 10 and found.structure < 0.99),
    ],
)
def test_what_was_done_to_the_product_is_told(
    change: Callable[[Pixels], Pixels], told_by: Callable[[Fidelity], bool]
) -> None:
    rgb, alpha = product()
    assert told_by(compare(rgb, change(rgb), alpha))


def test_a_better_jpeg_is_more_faithful() -> None:
    rgb, alpha = product()
    found = [compare(rgb, jpeg(rgb, quality), alpha) for quality in (40, 75, 95)]
    assert found[0].p99 > found[1].p99 > found[2].p99
    assert found[0].structure < found[1].structure < found[2].structure
    assert found[2].median < 1
    assert found[2].edges > 0.99


def test_what_is_looked_at_is_bounded_and_spread() -> None:
    rgb = np.full((2000, 1500, 3), 90, np.uint8)
    alpha = np.full((2000, 1500), 255, np.uint8)
    other = rgb.copy()
    other[1000:, :] = 140
    found = compare(rgb, other, alpha)
    assert found.pixels <= 20_480
    assert found.p99 > 10  # the lower half was seen


def test_thin_products_are_seen_too() -> None:
    rgb = np.full((400, 400, 3), 90, np.uint8)
    alpha = np.zeros((400, 400), np.uint8)
    alpha[:, 200:203] = 255
    found = compare(rgb, rgb, alpha)
    assert found.pixels > 300
    assert found.structure == 1


def test_shapes_have_to_agree() -> None:
    rgb, alpha = product()
    with pytest.raises(ValueError, match="shapes differ"):
        compare(rgb, rgb[1:], alpha)
