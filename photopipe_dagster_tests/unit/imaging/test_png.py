"""Cut-outs survive their PNG, ours read fast and everyone's read right."""

from __future__ import annotations

import io
import struct
import zlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageCms

from photopipe_dagster.core.errors import CompositeError
from photopipe_dagster.imaging import png as png_module
from photopipe_dagster.imaging.png import decode_cutout, encode_cutout

pictures = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 24), st.integers(1, 24), st.just(4)),
    elements=st.one_of(st.integers(0, 255), st.sampled_from([0, 255])),
)


def kept(rgba: np.ndarray) -> np.ndarray:
    """What is promised: everything but the colour of fully transparent pixels."""
    expected = rgba.copy()
    expected[expected[:, :, 3] == 0] = 0
    return expected


def sample(height: int = 30, width: int = 40) -> np.ndarray:
    rgba = np.random.default_rng(3).integers(0, 256, (height, width, 4), dtype=np.uint8)
    rgba[:8, :, 3] = 0
    return rgba


def written(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


@given(pictures)
def test_what_is_written_is_read_back(rgba: np.ndarray) -> None:
    data = encode_cutout(rgba)
    assert np.array_equal(decode_cutout(data), kept(rgba))
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "RGBA"
        assert np.array_equal(np.asarray(image), kept(rgba))


@given(pictures)
@settings(max_examples=30)
def test_files_of_others_read_the_same(rgba: np.ndarray) -> None:
    assert np.array_equal(decode_cutout(written(Image.fromarray(rgba))), rgba)


def test_the_same_pixels_give_the_same_bytes() -> None:
    assert encode_cutout(sample()) == encode_cutout(np.asfortranarray(sample()))


def test_what_is_read_can_be_written_to() -> None:
    rgba = decode_cutout(encode_cutout(sample()))
    rgba[0, 0] = 9
    assert rgba.flags.c_contiguous


def test_works_without_isal(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = encode_cutout(sample())
    monkeypatch.setattr(png_module, "_isal", None)
    assert np.array_equal(decode_cutout(ours), kept(sample()))
    assert np.array_equal(decode_cutout(encode_cutout(sample())), kept(sample()))
    with pytest.raises(CompositeError, match="inflated"):
        decode_cutout(rebuilt(ours, idat=b"junk"))


def test_our_own_files_never_need_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png_module, "_decode_foreign", lambda *_: pytest.fail("the slow way"))
    decode_cutout(encode_cutout(sample()))


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 4), np.uint16), np.zeros((0, 2, 4), np.uint8)],
)
def test_only_cutouts_are_written(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a cut-out is"):
        encode_cutout(array)


def test_every_kind_of_transparency_is_read() -> None:
    grey = Image.new("LA", (6, 5), (70, 130))
    assert decode_cutout(written(grey))[2, 2].tolist() == [70, 70, 70, 130]
    palette = Image.new("P", (6, 5), 1)
    palette.putpalette([9, 9, 9, 200, 30, 60])
    assert decode_cutout(written(palette, transparency=1))[2, 2, 3] == 0
    keyed = Image.new("RGB", (6, 5), (1, 2, 3))
    keyed.putpixel((0, 0), (9, 9, 9))
    read = decode_cutout(written(keyed, transparency=(1, 2, 3)))
    assert read[0, 0].tolist() == [9, 9, 9, 255]
    assert read[2, 2, 3] == 0


def test_a_foreign_profile_is_converted() -> None:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    image = Image.new("RGBA", (6, 5), (255, 0, 0, 200))
    read = decode_cutout(written(image, icc_profile=bytes(profile)))
    assert read[2, 2, 1] > 250
    assert read[2, 2, 3] == 200


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_no_transparency_is_no_cutout(mode: str) -> None:
    with pytest.raises(CompositeError, match="nothing was cut out"):
        decode_cutout(written(Image.new(mode, (6, 5))))


def rebuilt(data: bytes, *, header: bytes | None = None, idat: bytes | None = None) -> bytes:
    """The file with another header or other packed pixels, and right checksums."""
    out, position = data[:8], 8
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        if kind == b"IHDR" and header is not None:
            body = header
        if kind == b"IDAT" and idat is not None:
            body = idat
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        out += struct.pack(">I", len(body)) + kind + body + checksum
        position += 12 + length
    return out


def test_malformed_files_are_refused_with_the_reason() -> None:
    good = encode_cutout(sample())
    size = struct.pack(">II", 40, 30)
    for bad, reason in (
        (b"\xff\xd8\xff", "not a PNG"),
        (good[:-12], "end chunk"),
        (good[:100], "longer than the file"),
        (good[:60] + b"\0\0" + good[62:], "checksum"),
        (rebuilt(good, header=size), "wrong length"),
        (rebuilt(good, header=struct.pack(">IIBBBBB", 0, 30, 8, 6, 0, 0, 0)), "no pixels"),
        (rebuilt(good, header=struct.pack(">IIBBBBB", 40, 29, 8, 6, 0, 0, 0)), "more or fewer"),
        (rebuilt(good, header=struct.pack(">IIBBBBB", 40, 31, 8, 6, 0, 0, 0)), "more or fewer"),
        (rebuilt(good, idat=b"junk that does not inflate"), "inflated"),
        (rebuilt(good, idat=zlib.compress(bytes(30 * 161))[:-4]), "more or fewer"),
        (good[:8] + good[33:], "no header"),
        (rebuilt(good, header=struct.pack(">IIBBBBB", 40, 30, 7, 6, 0, 0, 0)), "cannot be decoded"),
    ):
        with pytest.raises(CompositeError, match=reason):
            decode_cutout(bad)


def test_a_bomb_is_not_inflated() -> None:
    good = encode_cutout(sample())
    bomb = rebuilt(good, idat=zlib.compress(bytes(50_000_000)))
    with pytest.raises(CompositeError, match="more or fewer"):
        decode_cutout(bomb)
    huge = rebuilt(good, header=struct.pack(">IIBBBBB", 100_000, 100_000, 8, 6, 0, 0, 0))
    with pytest.raises(CompositeError, match="64,000,000"):
        decode_cutout(huge)
    foreign = rebuilt(good, header=struct.pack(">IIBBBBB", 9_000, 9_000, 8, 3, 0, 0, 0))
    with pytest.raises(CompositeError, match="64,000,000"):
        decode_cutout(foreign)


def test_damage_anywhere_is_refused_and_raises_nothing_else() -> None:
    outcomes: Counter[str] = Counter()

    @given(st.data())
    @settings(max_examples=150)
    def damage(data: st.DataObject) -> None:
        whole = encode_cutout(sample(6, 5))
        damaged = bytearray(whole)
        for _ in range(data.draw(st.integers(1, 4))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        given = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
        try:
            decode_cutout(given)
            outcomes["read whole" if given == whole else "read damaged"] += 1
        except CompositeError:
            outcomes["refused"] += 1

    damage()
    assert outcomes["refused"] > outcomes["read damaged"], outcomes
