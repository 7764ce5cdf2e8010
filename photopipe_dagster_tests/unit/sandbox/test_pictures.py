from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from photopipe_dagster.sandbox.pictures import (
    NotAPictureError,
    border_cut_out,
    encode,
    gradient,
    look,
    shrink,
)
from photopipe_dagster_tests.unit.sandbox.conftest import picture


def test_a_rotated_photo_is_cut_out_as_it_is_displayed():
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.open(io.BytesIO(picture((120, 90)))).save(buffer, "JPEG", exif=exif)

    assert (look(buffer.getvalue()).width, look(buffer.getvalue()).height) == (90, 120)
    assert look(border_cut_out(buffer.getvalue())).width == 90


def test_the_edge_is_soft():
    cut_out = Image.open(io.BytesIO(border_cut_out(picture((200, 200), "PNG"))))
    alpha = np.asarray(cut_out.getchannel("A"))
    assert cut_out.mode == "RGBA"
    assert {0, 255} < set(np.unique(alpha).tolist())


def test_a_gradient_follows_from_its_prompt():
    one, same, other = gradient("a", 40, 20), gradient("a", 40, 20), gradient("b", 40, 20)
    assert one.size == (40, 20)
    assert one.tobytes() == same.tobytes() != other.tobytes()
    steps = np.abs(np.diff(np.asarray(one).astype(int), axis=0))
    assert steps.max() <= 12  # smooth


def test_shrinking_keeps_the_ratio_and_leaves_small_ones_alone():
    png = picture((400, 200), "PNG")
    small = look(shrink(png, 5000))
    assert small.width * small.height <= 5000
    assert small.width / small.height == pytest.approx(2, rel=0.05)
    assert shrink(png, 80_000) is png


def test_what_is_no_picture_is_said_to_be_none():
    with pytest.raises(NotAPictureError):
        look(b"x")
    with pytest.raises(NotAPictureError):
        look(encode(gradient("a", 300, 300), "JPEG")[:1000], whole=True)
