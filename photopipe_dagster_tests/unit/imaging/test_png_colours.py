"""Every kind of PNG shows the colours that a colour-managed reader sees.

The right values are computed here from what the standards say, with no decoder and no profile.
"""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from photopipe_dagster.imaging.decode import decode_rgb
from photopipe_dagster.imaging.png import decode_cutout
from photopipe_dagster.imaging.thumbnail import small_picture

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SIDE = 16
"""All pixels of a row are of one colour."""

KINDS = [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16)]
KINDS += [(3, 1), (3, 2), (3, 4), (3, 8), (4, 8), (4, 16), (6, 8), (6, 16)]
"""Colour types and bit depths."""

SRGB_XY = ((0.3127, 0.329), (0.64, 0.33), (0.3, 0.6), (0.15, 0.06))
P3_XY = ((0.3127, 0.329), (0.68, 0.32), (0.265, 0.69), (0.15, 0.06))

D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def to_xyz(primaries) -> np.ndarray:
    """Linear RGB to XYZ under D50."""
    white, *colours = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in primaries)
    matrix = np.column_stack(colours)
    matrix = matrix * np.linalg.solve(matrix, white)
    scale = np.diag((BRADFORD @ D50) / (BRADFORD @ white))
    return np.linalg.inv(BRADFORD) @ scale @ BRADFORD @ matrix


def srgb_of(light: np.ndarray) -> np.ndarray:
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def light_of_srgb(shown: np.ndarray) -> np.ndarray:
    return np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)


def icc(space: bytes, gamma: float, primaries=SRGB_XY) -> bytes:
    """A minimal ICC v2 profile with one gamma, as scanners write it."""

    def fixed(values) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(gamma * 256))
    tags = {b"wtpt": fixed(D50), b"desc": b"desc\0\0\0\0\0\0\0\2x\0" + b"\0" * 78}
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        for name, column in zip((b"r", b"g", b"b"), to_xyz(primaries).T, strict=True):
            tags |= {name + b"XYZ": fixed(column), name + b"TRC": curve}
    table, data, start = b"", b"", 132 + 12 * len(tags)
    for name, body in tags.items():
        table += struct.pack(">4sII", name, start + len(data), len(body))
        data += body.ljust(-(-len(body) // 4) * 4, b"\0")
    header = struct.pack(">I4sI", start + len(data), b"lcms", 0x02100000)
    header = (header + b"mntr" + space + b"XYZ ").ljust(36, b"\0") + b"acsp"
    header = header.ljust(68, b"\0") + fixed(D50)[8:]
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


@dataclass(frozen=True)
class Described:
    """How a file describes its colours, and what that means."""

    chunks: tuple[str, ...] = ()
    gamma: float | None = None
    primaries: tuple = SRGB_XY

    def body(self, space: bytes) -> bytes:
        made = b""
        for name in self.chunks:
            if name == "icc":
                profile = zlib.compress(icc(space, self.gamma, self.primaries))
                made += chunk(b"iCCP", b"scanner\0\0" + profile)
            elif name == "sRGB":
                made += chunk(b"sRGB", b"\0")
            elif name == "cHRM":
                values = [round(value * 100_000) for point in self.primaries for value in point]
                made += chunk(b"cHRM", struct.pack(">8I", *values))
            else:
                made += chunk(b"gAMA", struct.pack(">I", int(name)))
        return made

    def shown(self, values: np.ndarray) -> np.ndarray:
        """(…, 3) stored values, 0 to 1, as sRGB, 0 to 1."""
        if self.gamma is None and self.primaries == SRGB_XY:
            return values
        light = light_of_srgb(values) if self.gamma is None else values**self.gamma
        if self.primaries != SRGB_XY:
            light = light @ (np.linalg.inv(to_xyz(SRGB_XY)) @ to_xyz(self.primaries)).T
        return srgb_of(light)


DESCRIBED = {
    "nothing": Described(),
    "sRGB": Described(("sRGB",)),
    "gAMA of sRGB": Described(("45455",)),
    "gAMA and sRGB": Described(("100000", "sRGB")),
    "linear gAMA": Described(("100000",), 1.0),
    "gAMA of old Macs": Described(("55556",), 1 / 0.55556),
    "gAMA of 0": Described(("0",)),
    "linear profile": Described(("icc",), 1.0),
    "profile of 1.8": Described(("icc",), 1.8),
    "profile and another gAMA": Described(("100000", "icc"), 1.8),
}
OF_COLOUR = {
    "primaries of P3": Described(("45455", "cHRM"), None, P3_XY),
    "linear primaries of P3": Described(("100000", "cHRM"), 1.0, P3_XY),
    "profile of P3": Described(("icc",), 2.2, P3_XY),
}


def rows_of(colour: int, bits: int) -> np.ndarray:
    """Stored values, one colour for each row: (16, channels)."""
    most = (1 << bits) - 1
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    if colour == 3:
        return np.arange(SIDE)[:, None] % (1 << bits)
    spread = np.arange(SIDE)[:, None] * np.array([1, 5, 3, 7][:channels]) + 2
    values = (spread % 16) / 15
    if channels in (2, 4):
        values[:, -1] = np.array([1, 1, 0.5, 0] * 4)
    step = 257 if bits == 16 else 1
    return np.round(values * (most // step)).astype(int) * step


PALETTE = np.array([(40 + 11 * n % 200, 250 - 13 * n, (90 * n) % 256) for n in range(SIDE)])


def packed(rows: np.ndarray, bits: int) -> bytes:
    """Rows of `SIDE` like pixels, without a filter."""
    lines = []
    for row in rows:
        pixels = np.tile(row, SIDE)
        if bits == 16:
            line = pixels.astype(">u2").tobytes()
        elif bits == 8:
            line = pixels.astype(np.uint8).tobytes()
        else:
            line = np.packbits(
                (pixels[:, None] >> np.arange(bits)[::-1] & 1).astype(np.uint8).ravel()
            ).tobytes()
        lines.append(b"\0" + line)
    return zlib.compress(b"".join(lines))


def example(
    colour: int, bits: int, described: Described, *, keyed: bool
) -> tuple[bytes, np.ndarray, np.ndarray]:
    """A file, the sRGB that each of its rows shows, 0 to 1, and the row's alpha, 0 to 1."""
    rows, most = rows_of(colour, bits), (1 << bits) - 1
    body = described.body(b"GRAY" if colour in (0, 4) else b"RGB ")
    alpha = np.ones(SIDE)
    if colour == 3:
        palette = PALETTE[: 1 << bits]
        body += chunk(b"PLTE", palette.astype(np.uint8).tobytes())
        values = palette[rows[:, 0]] / 255
        if keyed:
            alphas = np.array([255, 0, 128, 60][: 1 << bits])
            body += chunk(b"tRNS", alphas.astype(np.uint8).tobytes())
            alpha = np.append(alphas, [255] * SIDE)[rows[:, 0]] / 255
    else:
        values = rows[:, :3] / most if colour in (2, 6) else rows[:, [0, 0, 0]] / most
        if colour in (4, 6):
            alpha = rows[:, -1] / most
        elif keyed:
            key = rows[5]
            body += chunk(b"tRNS", key.astype(">u2").tobytes())
            alpha = 1.0 - (rows == key).all(axis=1)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, bits, colour, 0, 0, 0)
    png = SIGNATURE + chunk(b"IHDR", header) + body + chunk(b"IDAT", packed(rows, bits))
    return png + chunk(b"IEND", b""), described.shown(values), alpha


CASES = [
    pytest.param(kind, described, keyed, id=f"type {kind[0]}, {kind[1]} bit, {name}, {how}")
    for kind, (name, described), (keyed, how) in itertools.product(
        KINDS, (DESCRIBED | OF_COLOUR).items(), ((False, "plain"), (True, "tRNS"))
    )
    if not (keyed and kind[0] in (4, 6)) and not (name in OF_COLOUR and kind[0] in (0, 4))
]


@pytest.mark.parametrize(("kind", "described", "keyed"), CASES)
def test_every_kind_of_png_shows_its_colours(
    kind: tuple[int, int], described: Described, keyed: bool
) -> None:
    data, shown, alpha = example(*kind, described, keyed=keyed)
    right = 255 * (shown * alpha[:, None] + 1 - alpha[:, None])
    off = np.abs(decode_rgb(data).astype(float) - right[:, None, :])
    assert off.max() <= 2.6, np.argwhere(off > 2.6)[:3]


@pytest.mark.parametrize(("kind", "described", "keyed"), CASES)
def test_cutouts_and_thumbnails_have_the_same_colours(
    kind: tuple[int, int], described: Described, keyed: bool
) -> None:
    data, shown, alpha = example(*kind, described, keyed=keyed)
    visible = alpha > 0.9
    assert visible.any()
    small = np.asarray(small_picture(data, (SIDE, SIDE))).astype(float)
    assert np.abs(small - 255 * shown[:, None])[visible].max() <= 2.6
    if keyed or kind[0] in (4, 6):
        cutout = decode_cutout(data).astype(float)
        assert np.abs(cutout[..., :3] - 255 * shown[:, None])[visible].max() <= 2.6
        assert np.abs(cutout[..., 3] - 255 * alpha[:, None]).max() <= 1


@pytest.mark.parametrize("bits", [8, 16])
def test_a_colour_that_is_only_nearly_the_key_stays(bits: int) -> None:
    row = np.array([200, 100, 50]) * (257 if bits == 16 else 1)
    body = chunk(b"tRNS", (row + np.array([0, 0, 1])).astype(">u2").tobytes())
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, bits, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", packed(np.tile(row, (SIDE, 1)), bits))
    png = SIGNATURE + header + body + pixels + chunk(b"IEND", b"")
    assert decode_rgb(png)[3, 3].tolist() == [200, 100, 50]


def test_shadows_of_linear_light_keep_their_sixteen_bits() -> None:
    rows = np.arange(SIDE)[:, None] * 20
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 16, 0, 0, 0, 0))
    gamma = chunk(b"gAMA", struct.pack(">I", 100_000))
    pixels = chunk(b"IDAT", packed(rows, 16))
    png = SIGNATURE + header + gamma + pixels + chunk(b"IEND", b"")
    right = 255 * srgb_of(rows[:, 0] / 65535)
    assert np.abs(decode_rgb(png)[:, 0, 0] - right).max() <= 0.51


def test_display_p3_by_its_code_points_is_converted() -> None:
    data, _, _ = example(2, 8, Described(), keyed=False)
    place = data.index(b"IDAT") - 4
    tagged = data[:place] + chunk(b"cICP", b"\x0c\x0d\0\1") + data[place:]
    values = rows_of(2, 8) / 255
    right = 255 * Described((), None, P3_XY).shown(values)
    assert np.abs(decode_rgb(tagged)[:, 0] - right).max() <= 2.6


@pytest.mark.parametrize("gamma", [1.0, 1.8])
def test_an_opaque_alpha_channel_changes_nothing_of_grey(gamma: float) -> None:
    profile, grey = icc(b"GRAY", gamma), Image.new("L", (8, 8), 55)
    opaque = Image.merge("LA", (grey, Image.new("L", grey.size, 255)))
    shown = []
    for picture in (grey, opaque):
        file = io.BytesIO()
        picture.save(file, "PNG", icc_profile=profile)
        shown.append(decode_rgb(file.getvalue()))
    assert np.array_equal(*shown)
    assert abs(int(shown[0][0, 0, 0]) - 255 * srgb_of(np.array((55 / 255) ** gamma))) <= 1


ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))


@pytest.mark.parametrize("width", [1, 3, 5, 8, 21])
@pytest.mark.parametrize("height", [1, 2, 9, 16])
def test_interlaced_pictures_are_whole(width: int, height: int) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (height, width, 3)).astype(np.uint8)
    packed_rows = b""
    for left, top, across, down in (*ADAM7, (0, 1, 1, 2)):
        for row in pixels[top::down, left::across]:
            packed_rows += b"\0" + row.tobytes() if row.size else b""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1))
    rows = chunk(b"IDAT", zlib.compress(packed_rows))
    assert np.array_equal(decode_rgb(SIGNATURE + header + rows + chunk(b"IEND", b"")), pixels)
