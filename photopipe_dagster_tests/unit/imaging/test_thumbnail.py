"""Thumbnails are small, whole, and show what is transparent."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.imaging.thumbnail import MAX_CHARACTERS, small_picture, thumbnail_data_uri


def shown(uri: str) -> Image.Image:
    head, _, body = uri.partition(",")
    assert head == "data:image/webp;base64"
    image = Image.open(io.BytesIO(base64.b64decode(body, validate=True)))
    image.load()
    return image


def written(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_a_picture_fits_the_side_and_keeps_its_shape() -> None:
    assert shown(thumbnail_data_uri(written(Image.new("RGB", (1600, 800), "red")))).size == (
        160,
        80,
    )
    assert shown(thumbnail_data_uri(written(Image.new("RGB", (300, 600))), 60)).size == (30, 60)
    assert shown(thumbnail_data_uri(written(Image.new("RGB", (20, 10))))).size == (20, 10)


def test_pixels_will_do_as_well() -> None:
    red = np.full((400, 200, 3), (250, 10, 10), np.uint8)
    image = shown(thumbnail_data_uri(red))
    assert image.size == (80, 160)
    assert image.getpixel((40, 80))[0] > 230


@pytest.mark.parametrize("side", [160, 600])
def test_even_noise_stays_small(side: int) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (700, 700, 3), dtype=np.uint8)
    uri = thumbnail_data_uri(noise, side)
    assert len(uri) <= MAX_CHARACTERS
    assert max(shown(uri).size) > 80


def test_transparency_is_a_checkerboard() -> None:
    rgba = np.zeros((320, 320, 4), np.uint8)
    rgba[80:240, 80:240] = (200, 0, 0, 255)
    for picture in (rgba, written(Image.fromarray(rgba), "PNG")):
        small = np.asarray(small_picture(picture, (160, 160)))
        assert small[80, 80].tolist() == [200, 0, 0]
        assert {int(level) for level in small[:30, :30, 0].ravel()} == {255, 218}


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_a_turned_photo_is_shown_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = written(Image.new("RGB", (400, 200)), exif=exif)
    assert small_picture(photo, (100, 100)).size == ((50, 100) if orientation > 4 else (100, 50))


def test_a_damaged_file_is_refused() -> None:
    with pytest.raises(PhotoRejectedError, match="cannot be shown"):
        thumbnail_data_uri(b"nothing")
