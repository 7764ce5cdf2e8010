"""A picture of many photos at once: a row for each, a column for each stage."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from photopipe_dagster.imaging.thumbnail import small_picture

_COLUMNS = ("Original", "Cut-out", "Background", "Composite")
_CELL = 300
_GAP = 20
_MARGIN = 44
_HEADER = 108
_ROW_TITLE = 52

_PAPER = "#ffffff"
_INK = "#1d1d1f"
_QUIET = "#6e6e73"
_HAIRLINE = "#dcdce0"
_EMPTY_CELL = "#f4f4f6"


@dataclass(frozen=True, slots=True)
class SheetRow:
    """The pictures of one photo.

    Args:
        title: The caption of the row, such as the SKU and the theme.
        original: JPEG, PNG or WebP; empty where there is none yet, as all the others.
        cutout: PNG with alpha.
        background: JPEG or PNG.
        composite: JPEG.
    """

    title: str
    original: bytes = field(repr=False)
    cutout: bytes = field(repr=False)
    background: bytes = field(repr=False)
    composite: bytes = field(repr=False)


def contact_sheet(rows: Sequence[SheetRow], *, title: str = "Photopipe") -> bytes:
    """Draw the contact sheet.

    Args:
        rows: From top to bottom.
        title: The headline.

    Returns:
        A PNG, 1348 pixels wide, 372 high for each row. The cut-out is on a checkerboard.

    Raises:
        PhotoRejectedError: A picture cannot be read.
    """
    width = 2 * _MARGIN + len(_COLUMNS) * _CELL + (len(_COLUMNS) - 1) * _GAP
    row_height = _ROW_TITLE + _CELL + _GAP
    sheet = Image.new("RGB", (width, _HEADER + len(rows) * row_height + _MARGIN), _PAPER)
    draw = ImageDraw.Draw(sheet)
    _draw_header(draw, title, len(rows))
    for index, row in enumerate(rows):
        _draw_row(sheet, draw, row, _HEADER + index * row_height)
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


_GRID_COLUMNS = 4
_FRAME = "#e11d48"


def grid_sheet(
    cells: Sequence[tuple[NDArray[np.uint8], str, bool]], *, title: str = "Photopipe"
) -> bytes:
    """Draw pictures as a shop's grid shows them, four a row.

    Args:
        cells: Of each: (height, width, 3) uint8, its caption, and whether it is framed.
        title: The headline.

    Returns:
        A PNG, 1348 pixels wide.
    """
    width = 2 * _MARGIN + _GRID_COLUMNS * _CELL + (_GRID_COLUMNS - 1) * _GAP
    row_height = _ROW_TITLE + _CELL
    rows = -(-len(cells) // _GRID_COLUMNS)
    sheet = Image.new("RGB", (width, _HEADER + rows * row_height + _MARGIN), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, 56), _shortened(title, 20, width - 2 * _MARGIN), _INK, _font(20))
    for index, (pixels, caption, framed) in enumerate(cells):
        row, column = divmod(index, _GRID_COLUMNS)
        left, top = _left_of(column), _HEADER + row * row_height
        small = small_picture(pixels, (_CELL, _CELL))
        place = left + (_CELL - small.width) // 2, top + (_CELL - small.height) // 2
        sheet.paste(small, place)
        if framed:
            draw.rectangle((left, top, left + _CELL - 1, top + _CELL - 1), outline=_FRAME, width=3)
        caption_at = left, top + _CELL + 28
        draw.text(caption_at, _shortened(caption, 16, _CELL), _INK, _font(16), anchor="ls")
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def _draw_header(draw: ImageDraw.ImageDraw, title: str, photos: int) -> None:
    right = _left_of(len(_COLUMNS) - 1) + _CELL
    draw.text((_MARGIN, 50), _shortened(title, 26, right - 200), _INK, _font(26), anchor="ls")
    count = "1 photo" if photos == 1 else f"{photos} photos"
    draw.text((right, 50), count, _QUIET, _font(16), anchor="rs")
    for column, name in enumerate(_COLUMNS):
        draw.text((_left_of(column), 92), name, _QUIET, _font(16), anchor="ls")


def _draw_row(sheet: Image.Image, draw: ImageDraw.ImageDraw, row: SheetRow, top: int) -> None:
    right = _left_of(len(_COLUMNS) - 1) + _CELL
    draw.line((_MARGIN, top, right, top), _HAIRLINE)
    caption = _shortened(row.title, 18, right - _MARGIN)
    draw.text((_MARGIN, top + 33), caption, _INK, _font(18), anchor="ls")
    pictures = (row.original, row.cutout, row.background, row.composite)
    for column, picture in enumerate(pictures):
        _draw_cell(sheet, draw, picture, _left_of(column), top + _ROW_TITLE)


def _draw_cell(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, picture: bytes, left: int, top: int
) -> None:
    cell = (left, top, left + _CELL - 1, top + _CELL - 1)
    draw.rectangle(cell, _EMPTY_CELL)
    if picture:
        small = small_picture(picture, (_CELL, _CELL), checker=10)
        middle = (left + (_CELL - small.width) // 2, top + (_CELL - small.height) // 2)
        sheet.paste(small, middle)
    else:
        centre = (left + _CELL // 2, top + _CELL // 2)
        draw.text(centre, "not yet", _QUIET, _font(15), anchor="mm")
    draw.rectangle(cell, outline=_HAIRLINE)


def _left_of(column: int) -> int:
    return _MARGIN + column * (_CELL + _GAP)


def _shortened(text: str, size: int, room: int) -> str:
    """One line that fits, and ends in dots where something was left out."""
    line = " ".join(_drawable(text).split())
    if _font(size).getlength(line) <= room:
        return line
    while line and _font(size).getlength(line + " ...") > room:
        line = line[:-1]
    return line + " ..."


def _drawable(text: str) -> str:
    """Text in the built-in font's letters: accents are dropped, others become ``?``."""
    letters = unicodedata.normalize("NFKD", text)
    return "".join(
        letter if letter.isascii() or letter in "·–—×“”" else "?"
        for letter in letters
        if not unicodedata.combining(letter)
    )


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
