"""A JPEG in strips is the JPEG that it would have been as a whole."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from photopipe_dagster.imaging.jpeg import written_in_strips

NEVER = 10**12


def picture(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(height * 31 + width)
    small = rng.integers(0, 256, (height // 7 + 2, width // 7 + 2, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("full_colour", [False, True])
@pytest.mark.parametrize("size", [(64, 64), (33, 17), (100, 301), (16, 500), (129, 128), (1, 9)])
def test_every_block_is_the_same(size: tuple[int, int], full_colour: bool):
    rgb = picture(*size)
    whole = written_in_strips(rgb, quality=90, full_colour=full_colour, worth_it=NEVER)
    strips = written_in_strips(rgb, quality=90, full_colour=full_colour, worth_it=0)
    side = 8 if full_colour else 16
    assert (b"\xff\xdd\x00\x04" in strips) is (size[0] > side)
    # As YCbCr: only what a decoder smooths between rows of colour may differ, and at no seam does.
    decoded = [Image.open(io.BytesIO(jpeg)) for jpeg in (whole, strips)]
    assert decoded[1].size == (size[1], size[0])
    first, second = (np.asarray(image.convert("RGB")) for image in decoded)
    assert np.array_equal(first, second)
    assert np.array_equal(cv2.imdecode(np.frombuffer(strips, np.uint8), 1)[..., ::-1], first)


def test_more_blocks_than_an_interval_can_count_make_more_strips():
    rgb = picture(1100, 8200)
    strips = written_in_strips(rgb, quality=50, full_colour=True)
    whole = written_in_strips(rgb, quality=50, full_colour=True, worth_it=NEVER)
    assert strips.count(b"\xff\xd1") == 1
    assert np.array_equal(
        np.asarray(Image.open(io.BytesIO(strips))), np.asarray(Image.open(io.BytesIO(whole)))
    )
