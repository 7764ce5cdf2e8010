"""Pictures that are hurt are refused, those with warts only are not, and bombs cost nothing."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from benchmarks.decoding_fuzz import fuzz, looked_at
from photopipe_dagster.core.errors import CompositeError, PhotoRejectedError
from photopipe_dagster.imaging.decode import decode_rgb, inspect
from photopipe_dagster.imaging.png import decode_cutout
from photopipe_dagster.imaging.thumbnail import thumbnail_data_uri


def photo(width: int = 320, height: int = 240) -> Image.Image:
    """A thing on a ground, with a camera's noise."""
    rng = np.random.default_rng(4)
    pixels = np.linspace(238, 190, height)[:, None, None] + rng.normal(0, 3, (height, width, 3))
    pixels[height // 3 : height * 2 // 3, width // 4 : width // 2] = (150, 40, 60)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def written(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def segment(marker: int, body: bytes) -> bytes:
    return bytes((255, marker)) + struct.pack(">H", len(body) + 2) + body


def chunk(kind: bytes, body: bytes, *, off: int = 0) -> bytes:
    """A chunk of a PNG; `off` spoils its checksum."""
    checksum = zlib.crc32(kind + body) ^ off
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def png(*extra: bytes, pixels: bytes | None = None, colour: int = 2, palette: bytes = b"") -> bytes:
    """A red PNG of 40 × 40 pixels, with chunks before its pixels."""
    row = b"\0" + (bytes((200, 40, 30)) * 40 if colour == 2 else b"\1" * 40)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 40, 8, colour, 0, 0, 0)),
            *extra,
            palette,
            chunk(b"IDAT", zlib.compress(row * 40)) if pixels is None else pixels,
            chunk(b"IEND", b""),
        )
    )


def refuse(data: bytes, read: Callable[[bytes], object] = inspect) -> None:
    """See that it is refused. Without the limits, some would take minutes."""
    with pytest.raises((PhotoRejectedError, CompositeError)) as refused:
        read(data)
    assert refused.value.message.endswith(".")


# Photos that a decoder complains of.


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "options", [{"optimize": True}, {"progressive": True}, {"restart_marker_blocks": 4}]
)
def test_a_jpeg_whose_picture_lacks_bytes_is_refused(mode: str, options: dict[str, object]) -> None:
    data = written(photo().convert(mode), quality=90, **options)
    begin = data.index(b"\xff\xda") + 200
    hurt = data[:begin] + data[begin + 150 :]
    with pytest.raises(PhotoRejectedError, match="damaged or missing"):
        inspect(hurt)
    with pytest.raises(PhotoRejectedError, match="damaged or missing"):
        decode_rgb(hurt, cover=(20, 20))


def test_a_jpeg_with_one_flipped_bit_is_refused_where_libjpeg_notices() -> None:
    data = written(photo(), quality=90, optimize=True)
    noticed = 0
    for place in range(data.index(b"\xff\xda") + 14, len(data) - 2, 37):
        hurt = data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]
        if "Corrupt JPEG data" in looked_at(hurt)[1]:
            noticed += 1
            with pytest.raises(PhotoRejectedError, match="JPEG"):
                inspect(hurt)
    assert noticed >= 5


def test_a_jpeg_that_lost_a_restart_is_refused() -> None:
    data = written(photo(), restart_marker_blocks=4)
    lost = data.index(b"\xff\xd2")
    with pytest.raises(PhotoRejectedError, match="damaged or missing"):
        inspect(data[:lost] + data[lost + 2 :])


def test_a_jpeg_whose_end_was_never_written_is_refused() -> None:
    data = written(photo())
    with pytest.raises(PhotoRejectedError, match="damaged or missing"):
        inspect(data[:-1500] + bytes(1498) + data[-2:])


def test_a_jpeg_without_the_scan_of_a_component_is_refused() -> None:
    data = written(photo(), progressive=True)
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    head = bytearray(data[:second])
    place = head.index(b"\xff\xda")
    length = int.from_bytes(head[place + 2 : place + 4], "big")
    one = segment(0xDA, bytes((1, head[place + 5], 0, 0, 0, head[place + 1 + length])))
    only_luma = bytes(head[:place]) + one + bytes(head[place + 2 + length :]) + b"\xff\xd9"
    with pytest.raises(PhotoRejectedError, match="damaged or missing"):
        inspect(only_luma)


@pytest.mark.parametrize(
    "wart",
    [
        lambda data: data.replace(b"\xff\xdb", b"\0\0\0\xff\xdb", 1),
        lambda data: data.replace(b"\xff\xda", b"\xff\xff\xff\xda", 1),
        lambda data: data[:-2] + b"\xff" * 9 + data[-2:],
        lambda data: data[:-2] + bytes(7) + data[-2:],
        lambda data: data.replace(b"JFIF\0\1", b"JFIF\0\5", 1),
        lambda data: data[:2] + segment(0xEE, b"Adobe\0\x64\0\0\0\0\7") + data[2:],
        lambda data: data.replace(b"\0\x3f\0", b"\0\0\0", 1),
        lambda data: data + b"\0" * 50 + b"\xff\xd8 a preview",
        lambda data: data[:2] + segment(0xE1, b"Exif\0\0II*\0") * 3 + data[2:],
    ],
    ids=[
        "bytes between segments",
        "fill bytes",
        "fill bytes before the end",
        "zeros before the end",
        "a revision of JFIF",
        "a colour transform that nobody knows",
        "a spectrum that nobody reads",
        "a trailer",
        "Exif thrice",
    ],
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_jpeg_with_warts_shows_the_same_picture(wart: Callable[[bytes], bytes]) -> None:
    data = written(photo())
    assert np.array_equal(decode_rgb(wart(data)), decode_rgb(data))


def test_zeros_do_not_hide_what_is_missing() -> None:
    data = written(photo())
    with pytest.raises(PhotoRejectedError, match="damaged or missing"):
        inspect(data.replace(b"\xff\xdb", b"\0\0\xff\xdb", 1)[:-1500] + bytes(100) + data[-2:])


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_that_lost_a_part_between_its_tables_is_refused(options: dict[str, object]) -> None:
    data = written(photo(), **options)
    table = data.index(b"\xff\xc4", data.index(b"\xff\xc4") + 2)
    scan = data.rindex(b"\xff\xda")
    for hurt in (
        data[:table] + b"\x12\x34\x56" + data[table:],
        data[: table + 8] + data[table + 12 :],
        data[:scan] + bytes(60) + data[scan + 60 :],
        data[:scan] + bytes(len(data) - scan - 2) + data[-2:],
    ):
        with pytest.raises(PhotoRejectedError):
            inspect(hurt)


DAMAGED_PNGS = {
    "a wrong checksum of its pixels": png(pixels=chunk(b"IDAT", zlib.compress(b"\0" * 9), off=1)),
    "pixels that are missing": png(pixels=chunk(b"IDAT", zlib.compress(b"\0" * 121 * 39))),
    "a stream without its end": png(
        pixels=chunk(b"IDAT", zlib.compress(np.random.default_rng(1).bytes(121 * 39) + bytes(121)))
    ),
    "a stream with a wrong sum": png(
        pixels=chunk(b"IDAT", zlib.compress(b"\0" * 121 * 40)[:-1] + b"\x77")
    ),
    "no pixels": png(pixels=b""),
    "no palette": png(colour=3),
    "a damaged palette": png(colour=3, palette=chunk(b"PLTE", bytes(6), off=1)),
    "a colour beyond its palette": png(colour=3, palette=chunk(b"PLTE", bytes(3))),
    "a damaged transparency": png(chunk(b"tRNS", bytes(6), off=1)),
    "a chunk that nobody knows": png(chunk(b"NEED", b"")),
    "no end": png()[:-12],
    "two headers": png(chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 40, 8, 2, 0, 0, 0))),
}


@pytest.mark.parametrize("data", DAMAGED_PNGS.values(), ids=DAMAGED_PNGS)
def test_a_damaged_png_is_refused(data: bytes) -> None:
    with pytest.raises(PhotoRejectedError, match="damaged or cut short"):
        inspect(data)
    with pytest.raises(PhotoRejectedError, match="damaged or cut short"):
        decode_rgb(data)
    with pytest.raises(CompositeError):
        decode_cutout(data)


@pytest.mark.parametrize("options", [{"quality": 80}, {"lossless": True}])
@pytest.mark.parametrize("left", [0.1, 0.5, 0.9, 0.999])
def test_a_webp_that_was_cut_short_is_refused(options: dict[str, object], left: float) -> None:
    data = written(photo(), "WEBP", **options)
    with pytest.raises(PhotoRejectedError):
        inspect(data[: int(len(data) * left)])


# Metadata do not damage a picture.


LONG = zlib.compress(b"0123456789abcdef" * 70_000)
METADATA = {
    "zTXt of 1.1 MB": chunk(b"zTXt", b"Raw profile type exif\0\0" + LONG),
    "iTXt of 1.1 MB": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LONG),
    "many texts": chunk(b"tEXt", b"Comment\0" + b"x" * 60_000) * 1_200,
    "iCCP of 1.1 MB": chunk(b"iCCP", b"big\0\0" + LONG),
    "iCCP of no deflate": chunk(b"iCCP", b"big\0\0junk"),
    "tEXt with a wrong checksum": chunk(b"tEXt", b"Comment\0mug", off=1),
    "iCCP with a wrong checksum": chunk(b"iCCP", b"p\0\0" + zlib.compress(b"icc"), off=1),
    "eXIf with a wrong checksum": chunk(b"eXIf", b"II*\0", off=1),
    "gAMA with a wrong checksum": chunk(b"gAMA", struct.pack(">I", 100_000), off=1),
    "gAMA of two bytes": chunk(b"gAMA", b"\0\1"),
    "cHRM of nonsense": chunk(b"gAMA", struct.pack(">I", 45_455)) + chunk(b"cHRM", bytes(32)),
    "pHYs of two bytes": chunk(b"pHYs", b"\0\1"),
    "a text without a keyword": chunk(b"zTXt", b""),
    "an animation of nonsense": chunk(b"acTL", b"\0"),
}


@pytest.mark.parametrize("extra", METADATA.values(), ids=METADATA)
def test_metadata_that_cannot_be_read_are_left_out(extra: bytes) -> None:
    for data in (png(extra), png()[:-12] + extra + png()[-12:]):
        assert inspect(data).width == 40
        assert np.abs(decode_rgb(data).astype(int) - (200, 40, 30)).max() == 0
        assert thumbnail_data_uri(data).startswith("data:image/webp")


def test_metadata_of_a_cutout_are_left_out_too() -> None:
    rgba = Image.new("RGBA", (30, 30), (200, 40, 30, 255))
    data = written(rgba, "PNG")
    for extra in METADATA.values():
        assert decode_cutout(data[:33] + extra + data[33:])[9, 9].tolist() == [200, 40, 30, 255]


@pytest.mark.parametrize("kind", ["eXIf", "zTXt", "long zTXt", "iTXt"])
def test_the_orientation_is_read_wherever_a_png_has_it(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    packet = exif.tobytes()
    hexadecimal = b"\nexif\n%8d\n%s\n" % (len(packet), packet.hex().encode())
    long = hexadecimal + b"\n" + b"30" * 600_000
    extra = {
        "eXIf": chunk(b"eXIf", packet.removeprefix(b"Exif\0\0")),
        "zTXt": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(hexadecimal)),
        "long zTXt": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(long)),
        "iTXt": chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'),
    }[kind]
    assert inspect(png(extra)).orientation == 6


# Work is bounded.


def many_scans(side: int, scans: int) -> bytes:
    """A valid progressive JPEG: each scan says of one coefficient that there is nothing."""
    blocks = (side // 8) ** 2
    out = [
        b"\xff\xd8",
        segment(0xDB, b"\0" + b"\1" * 64),
        segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0"),
        segment(0xC4, b"\0" + bytes((1, *[0] * 15)) + b"\0"),
        segment(0xC4, b"\x10" + bytes((1, 1, *[0] * 14)) + b"\xe0\0"),
        segment(0xDA, b"\1\1\0\0\0\0") + bytes(-(-blocks // 8)),
    ]
    run = blocks - 16384
    said = int(("0" + format(run, "014b")).ljust(16, "1"), 2).to_bytes(2, "big")
    for number in range(scans):
        coefficient, low = 1 + number // 14 % 63, 13 - number % 14
        high = 0 if low == 13 else low + 1
        out.append(segment(0xDA, bytes((1, 1, 0, coefficient, coefficient, high << 4 | low))))
        out.append(said)
    return b"".join((*out, b"\xff\xd9"))


def test_a_progressive_jpeg_of_many_scans_is_refused() -> None:
    assert inspect(many_scans(1048, 20)).width == 1048
    refuse(many_scans(1048, 800))


def test_the_larger_a_jpeg_the_fewer_scans_it_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    many = many_scans(1048, 100)
    assert inspect(many).width == 1048
    monkeypatch.setattr("photopipe_dagster.imaging.jpeg_file.MAX_BLOCKS", 1_000_000)
    refuse(many)
    assert inspect(many_scans(1048, 15)).width == 1048


EMPTY_MARKERS = {
    "empty segments": b"\xff\xe0\0\2" * 3_000_000,
    "markers alone": b"\xff\x01" * 6_000_000,
    "starts": b"\xff\xd8" * 6_000_000,
    "restarts": b"\xff\xd0" * 6_000_000,
    "fill bytes": b"\xff" * 12_000_000,
    "stuffed bytes": b"\xff\0" * 6_000_000,
    "zeros": bytes(12_000_000),
    "tables": segment(0xDB, b"\0" + b"\1" * 64) * 170_000,
}


@pytest.mark.parametrize("markers", EMPTY_MARKERS.values(), ids=EMPTY_MARKERS)
def test_a_jpeg_of_empty_markers_is_refused_or_read(markers: bytes) -> None:
    good = written(photo())
    refuse(good[:2] + markers)
    for data in (good[:2] + markers + good[2:], good[:-2] + markers + good[-2:]):
        with contextlib.suppress(PhotoRejectedError):
            inspect(data)


def test_a_jpeg_of_photoshop_s_resources_is_read() -> None:
    resources = segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\0\0" * 5_000)
    good = written(photo())
    assert inspect(good[:2] + resources * 200 + good[2:]).width == 320


@pytest.mark.parametrize("kind", [b"IDAT", b"tEXt", b"aaAa"])
def test_a_png_of_many_chunks_is_refused(kind: bytes) -> None:
    many = chunk(kind, b"") * 1_000_000
    refuse(png(pixels=many))
    refuse(png(pixels=many), decode_cutout)


def test_texts_that_unpack_to_much_are_left_out() -> None:
    bomb = zlib.compress(bytes(20_000_000), 9)
    extra = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb) * 300
    assert inspect(png(extra, chunk(b"iCCP", b"p\0\0" + bomb))).width == 40


def test_pixels_that_nobody_asked_for_are_left_out() -> None:
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(10_000_000)) for _ in range(30)) + packer.flush()
    assert inspect(png(pixels=chunk(b"IDAT", packed))).width == 40


@pytest.mark.parametrize("kind", ["JPEG", "progressive JPEG", "PNG", "WEBP"])
def test_a_header_that_promises_much_takes_no_memory(kind: str) -> None:
    if kind == "PNG":
        data = png().replace(
            png()[8:33], chunk(b"IHDR", struct.pack(">IIBBBBB", 8000, 8000, 8, 6, 0, 0, 0))
        )
    elif kind == "WEBP":
        data = written(photo(), "WEBP", lossless=True)
        data = data[:21] + (7999 | 7999 << 14).to_bytes(4, "little") + data[25:]
    else:
        data = written(photo(), progressive=kind != "JPEG")
        frame = data.index(b"\xff\xc2" if kind != "JPEG" else b"\xff\xc0") + 5
        data = data[:frame] + struct.pack(">HH", 8000, 8000) + data[frame + 4 :]
    refuse(data)


def test_no_mutated_file_is_accepted_of_whose_picture_a_decoder_complains() -> None:
    findings = fuzz(600)
    assert findings.files == 600
    # How long a file takes is the benchmark's to say.
    assert [fault for fault in findings.faults if not fault.endswith(" s")] == []
    assert sum(count for (_, how, _), count in findings.outcomes.items() if how == "refused") > 200
