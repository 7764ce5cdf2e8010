"""A contact sheet has a row for each photo and a cell for each stage."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from photopipe_dagster.imaging.contact_sheet import SheetRow, contact_sheet
from photopipe_dagster.imaging.png import encode_cutout

CELL_CENTRES = (44 + 150, 364 + 150, 684 + 150, 1004 + 150)
FIRST_ROW = 108 + 52 + 150


def plain(colour: str, size: tuple[int, int] = (200, 200)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG")
    return file.getvalue()


def row(title: str = "SKU-1 · kitchen") -> SheetRow:
    rgba = np.zeros((400, 400, 4), np.uint8)
    rgba[150:250, 150:250] = (0, 0, 255, 255)
    return SheetRow(title, plain("red"), encode_cutout(rgba), plain("lime"), plain("yellow"))


def drawn(rows: list[SheetRow]) -> np.ndarray:
    image = Image.open(io.BytesIO(contact_sheet(rows)))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB")).astype(int)


def test_every_stage_is_in_its_column() -> None:
    sheet = drawn([row(), row()])
    assert sheet.shape == (108 + 2 * 372 + 44, 1348, 3)
    for top in (FIRST_ROW, FIRST_ROW + 372):
        for x, colour in zip(
            CELL_CENTRES, ((255, 0, 0), (0, 0, 255), (0, 255, 0), (255, 255, 0)), strict=True
        ):
            assert np.abs(sheet[top, x] - colour).max() <= 4
    checker = sheet[FIRST_ROW - 140 : FIRST_ROW - 100, 364 + 5 : 364 + 100]
    assert {255, 218} <= set(checker[:, :, 0].ravel().tolist())


def test_a_row_has_its_caption() -> None:
    caption = np.s_[108 + 2 : 108 + 50, 44:600]
    assert drawn([row()])[caption].min() < 80
    assert drawn([row("")])[caption].min() == 255


@pytest.mark.parametrize("title", ["long " * 100, "Ünïcödé Ж 商品 \N{ROCKET}\n\t#12", "W" * 500])
def test_no_caption_leaves_its_row(title: str) -> None:
    sheet = drawn([row(title)])
    assert (sheet[:, 1348 - 40 :] == 255).all()


def test_what_is_not_made_yet_is_left_empty() -> None:
    sheet = drawn([SheetRow("SKU-2", plain("red"), b"", b"", b"")])
    assert (sheet[FIRST_ROW - 100, CELL_CENTRES[3]] == (244, 244, 246)).all()


def test_no_photos_make_an_empty_sheet() -> None:
    assert drawn([]).shape == (108 + 44, 1348, 3)
