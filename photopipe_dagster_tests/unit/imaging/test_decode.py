"""Photos are read as displayed, and what is not a whole photo is rejected with a reason."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.imaging.decode import decode_rgb, inspect


def photographic(width: int = 120, height: int = 80) -> Image.Image:
    """Smooth, colourful, and without symmetry."""
    y, x = np.mgrid[:height, :width]
    planes = (x * 255 // width, y * 255 // height, (x + 2 * y) * 255 // (width + 2 * height))
    return Image.fromarray(np.dstack(planes).astype(np.uint8))


def written(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def difference(one: np.ndarray, other: np.ndarray | Image.Image) -> int:
    return int(np.abs(one.astype(int) - np.asarray(other).astype(int)).max())


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")],
)
def test_says_what_a_photo_is(kind: str, content_type: str) -> None:
    info = inspect(written(photographic(), kind))
    assert (info.width, info.height, info.format) == (120, 80, kind)
    assert info.content_type == content_type
    assert (info.orientation, info.mode, info.has_icc, info.frames) == (1, "RGB", False, 1)


def test_a_jpeg_has_the_pixels_that_pillow_decodes() -> None:
    data = written(photographic(), quality=95)
    assert difference(decode_rgb(data), Image.open(io.BytesIO(data))) == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = written(photographic(), kind, exif=exif)
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    info, rgb = inspect(data), decode_rgb(data)
    assert info.orientation == orientation
    assert (info.width, info.height) == shown.size
    assert rgb.shape == (shown.height, shown.width, 3)
    assert rgb.flags.c_contiguous
    assert difference(rgb, shown) == 0


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_means_nothing_is_ignored(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert inspect(written(photographic(), exif=exif)).orientation == 1


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_takes_nothing_from_the_pixels() -> None:
    data = written(photographic(), exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert inspect(data).orientation == 1


def test_a_profile_of_srgb_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain, tagged = written(photographic()), written(photographic(), icc_profile=profile)
    assert inspect(tagged).has_icc
    assert np.array_equal(decode_rgb(tagged), decode_rgb(plain))


def swapped_profile() -> bytes:
    """A profile in which red and green have changed places: a display nobody has."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_another_profile_is_converted(kind: str) -> None:
    red = Image.new("RGB", (32, 32), (255, 0, 0))
    pixels = decode_rgb(written(red, kind, icc_profile=swapped_profile()))
    assert difference(pixels, Image.new("RGB", (32, 32), (0, 255, 0))) <= 4


def test_a_profile_applies_under_transparency_too() -> None:
    red = Image.new("RGBA", (8, 8), (255, 0, 0, 255))
    red.putpixel((0, 0), (255, 0, 0, 0))
    pixels = decode_rgb(written(red, "PNG", icc_profile=swapped_profile()))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[4, 4, 1] > 250
    assert pixels[4, 4, 0] < 5


@pytest.mark.parametrize("profile", [b"nonsense", swapped_profile()[:200]])
def test_a_damaged_profile_is_ignored(profile: bytes) -> None:
    plain, tagged = written(photographic()), written(photographic(), icc_profile=profile)
    assert np.array_equal(decode_rgb(tagged), decode_rgb(plain))


def test_cmyk_as_adobe_writes_it_is_not_inverted() -> None:
    cmyk = Image.new("CMYK", (64, 64), (0, 255, 255, 0))  # red ink
    data = written(cmyk, quality=100)
    assert inspect(data).mode == "CMYK"
    assert difference(decode_rgb(data), Image.new("RGB", (64, 64), (255, 0, 0))) <= 4


def test_cmyk_whose_profile_is_of_another_kind_is_still_read() -> None:
    data = written(Image.new("CMYK", (64, 64), (0, 0, 0, 255)), icc_profile=swapped_profile())
    assert decode_rgb(data).max() <= 4


def test_grey_and_two_tone_become_rgb() -> None:
    grey = photographic().convert("L")
    assert difference(decode_rgb(written(grey, "PNG")), grey.convert("RGB")) == 0
    assert (
        difference(decode_rgb(written(grey)), Image.open(io.BytesIO(written(grey))).convert("RGB"))
        == 0
    )
    two_tone = grey.convert("1")
    assert difference(decode_rgb(written(two_tone, "PNG")), two_tone.convert("RGB")) == 0


def test_a_grey_profile_is_used_for_grey() -> None:
    photo = Image.new("L", (16, 16), 128)
    assert decode_rgb(written(photo, "PNG", icc_profile=swapped_profile())).shape == (16, 16, 3)


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    levels = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    pixels = decode_rgb(written(Image.fromarray(levels), "PNG"))
    assert difference(pixels[:, :, 0], np.round(levels / 257)) == 0


def test_16_bit_colour_is_scaled() -> None:
    wide = np.zeros((4, 4, 3), ">u2")
    wide[:] = (65535, 32896, 0)
    assert difference(decode_rgb(png_of(wide, 16, 2)), np.full((4, 4, 3), (255, 128, 0))) <= 1


def png_of(
    pixels: np.ndarray, bits: int, colour: int, size: tuple[int, int] | None = None
) -> bytes:
    height, width = size or pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def test_palettes_and_transparency_are_laid_on_white() -> None:
    rgba = photographic().convert("RGBA")
    rgba.putalpha(Image.linear_gradient("L").resize(rgba.size))
    white = Image.new("RGBA", rgba.size, "white")
    expected = Image.alpha_composite(white, rgba).convert("RGB")
    assert difference(decode_rgb(written(rgba, "PNG")), expected) <= 1
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([9, 9, 9, 200, 30, 60])
    assert decode_rgb(written(palette, "PNG"))[0, 0].tolist() == [200, 30, 60]
    assert decode_rgb(written(palette, "PNG", transparency=1))[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_cover_decodes_less_but_never_too_little(mode: str) -> None:
    data = written(photographic(800, 640).convert(mode))
    assert decode_rgb(data, cover=(200, 160)).shape == (160, 200, 3)
    assert decode_rgb(data, cover=(201, 100)).shape == (320, 400, 3)
    assert decode_rgb(data, cover=(900, 900)).shape == (640, 800, 3)
    assert decode_rgb(data, cover=(1, 1)).shape == (80, 100, 3)


def test_cover_means_the_picture_as_displayed() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = written(photographic(800, 400), exif=exif)
    assert decode_rgb(data, cover=(200, 400)).shape == (400, 200, 3)
    grey = written(photographic(800, 400).convert("L"), exif=exif)
    assert decode_rgb(grey, cover=(200, 400)).shape == (400, 200, 3)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>sign in</html>", "web page"),
        (b"\xef\xbb\xbf\n <HTML>", "web page"),
        (b'{"error": "expired"}', "JSON"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"<svg xmlns='...'/>", "SVG"),
        (b"<?xml version='1.0'?><Error/>", "XML"),
        (b"\0\0\0\x18ftypheic....", "HEIC"),
        (b"\0\0\0\x18ftypavif....", "AVIF"),
        (b"8BPS\0\1", "Photoshop"),
        (b"II*\0\0\0", "TIFF"),
        (written(photographic(), "GIF"), "GIF"),
        (written(photographic(), "BMP"), "BMP"),
        (b"anything else", "no picture"),
    ],
)
def test_names_what_came_instead_of_a_photo(data: bytes, named: str) -> None:
    with pytest.raises(PhotoRejectedError, match=named) as caught:
        inspect(data)
    assert "JPEG, PNG or WebP" in caught.value.message


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("kept", [0.15, 0.3, 0.7, 0.99])
def test_a_jpeg_that_was_cut_short_is_rejected(progressive: bool, kept: float) -> None:
    data = written(photographic(400, 300), quality=95, progressive=progressive)
    with pytest.raises(PhotoRejectedError, match=r"[Ss]end it again"):
        inspect(data[: int(len(data) * kept)])


def test_a_jpeg_that_lacks_only_its_end_marker_is_rejected() -> None:
    with pytest.raises(PhotoRejectedError, match="not transferred in full"):
        decode_rgb(written(photographic())[:-2])


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("gap", [(0.3, 1.0), (0.4, 0.6)])
def test_a_jpeg_with_data_missing_before_its_end_is_rejected(
    mode: str, gap: tuple[float, float]
) -> None:
    image = Image.effect_noise((400, 300), 60).convert("RGB").convert(mode)
    data = written(image, quality=90)
    hole = data[: int(len(data) * gap[0])] + data[int(len(data) * gap[1]) :]
    with pytest.raises(PhotoRejectedError, match="missing"):
        inspect(hole if hole.endswith(b"\xff\xd9") else hole + b"\xff\xd9")


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_photo_that_ends_in_mid_grey_is_whole(mode: str, progressive: bool) -> None:
    image = photographic(200, 160)
    image.paste((128, 128, 128), (0, 80, 200, 160))
    data = written(image.convert(mode), progressive=progressive)
    assert decode_rgb(data)[-1, -1].tolist() == [128, 128, 128]


def test_what_follows_the_end_of_a_jpeg_does_not_matter() -> None:
    data = written(photographic())
    assert np.array_equal(decode_rgb(data + b"\0" * 100 + b"trailer"), decode_rgb(data))


def test_the_end_of_an_embedded_preview_is_not_the_end_of_the_photo() -> None:
    preview = written(photographic(16, 12))
    data = written(photographic(400, 300), comment=preview)
    assert preview in data
    assert inspect(data).width == 400
    with pytest.raises(PhotoRejectedError):
        inspect(data[: len(data) // 2])


def test_a_phone_s_extra_picture_is_ignored() -> None:
    data = written(photographic(), "MPO", save_all=True, append_images=[photographic(16, 16)])
    info = inspect(data)
    assert (info.format, info.frames) == ("JPEG", 1)
    assert decode_rgb(data).shape == (80, 120, 3)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_other_files_that_were_cut_short_are_rejected(kind: str) -> None:
    data = written(Image.effect_noise((200, 200), 80).convert("RGB"), kind)
    with pytest.raises(PhotoRejectedError):
        inspect(data[: len(data) // 2])


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_rejected(kind: str) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue", "green")]
    with pytest.raises(PhotoRejectedError, match="animation of 3 frames"):
        inspect(written(frames[0], kind, save_all=True, append_images=frames[1:]))


def test_the_size_is_checked_before_anything_is_decoded() -> None:
    bomb = png_of(np.zeros((1, 1, 3), np.uint8), 8, 2, size=(8000, 9000))
    with pytest.raises(PhotoRejectedError, match="72,000,000 pixels"):
        decode_rgb(bomb)
    larger = png_of(np.zeros((1, 1, 3), np.uint8), 8, 2, size=(60000, 60000))
    with pytest.raises(PhotoRejectedError, match="64,000,000"):
        inspect(larger)


def test_the_largest_and_the_smallest_size_are_the_caller_s() -> None:
    data = written(photographic())
    assert inspect(data, max_pixels=9600, min_side=80).width == 120
    with pytest.raises(PhotoRejectedError, match="Send it smaller"):
        inspect(data, max_pixels=9599)
    with pytest.raises(PhotoRejectedError, match="Send a larger one"):
        inspect(data, min_side=81)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_a_picture_of_no_pixels_is_rejected(size: tuple[int, int]) -> None:
    with pytest.raises(PhotoRejectedError, match="declares no pixels"):
        inspect(png_of(np.zeros((1, 1, 3), np.uint8), 8, 2, size=size))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_damage_anywhere_never_raises_anything_else(kind: str) -> None:
    data = written(photographic(40, 30), kind)
    chance = np.random.default_rng(7)
    for _ in range(150):
        damaged = bytearray(data)
        for place in chance.integers(0, len(data), 4):
            damaged[place] = chance.integers(0, 256)
        with contextlib.suppress(PhotoRejectedError):
            assert decode_rgb(bytes(damaged)).dtype == np.uint8
