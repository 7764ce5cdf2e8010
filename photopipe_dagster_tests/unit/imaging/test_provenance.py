"""A picture says where it is from, and nothing of the camera that the photo was taken with."""

from __future__ import annotations

import io
from collections.abc import Iterator
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from PIL import Image

from photopipe_dagster.imaging.composite import CutoutPicture, Scene, encode_jpeg
from photopipe_dagster.imaging.decode import decode_rgb
from photopipe_dagster.imaging.finishing import finish
from photopipe_dagster.imaging.provenance import SourceType, with_xmp, xmp_packet
from photopipe_dagster.themes.builtin import THEMES

STUDIO = THEMES["default"].light

XMP = b"http://ns.adobe.com/xap/1.0/\0"
NAMES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "ext": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
}


def segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers and contents of a JPEG's segments, up to its picture."""
    position = 2
    while jpeg[position + 1] != 0xDA:
        assert jpeg[position] == 0xFF
        length = int.from_bytes(jpeg[position + 2 : position + 4], "big")
        yield jpeg[position + 1], jpeg[position + 4 : position + 2 + length]
        position += 2 + length


def xmp_of(jpeg: bytes) -> ElementTree.Element:
    packets = [body for marker, body in segments(jpeg) if marker == 0xE1 and body.startswith(XMP)]
    assert len(packets) == 1
    text = packets[0].removeprefix(XMP).decode()
    assert text.startswith('<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>')
    assert text.endswith('<?xpacket end="r"?>')
    return ElementTree.fromstring(text)  # noqa: S314 - our own packet


def camera_photo() -> bytes:
    """A photo, turned by its EXIF, that names the camera, its owner and the place."""
    picture = np.full((120, 200, 3), 235, np.uint8)
    picture[30:90, 60:150] = (30, 90, 160)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F], exif[0x0110] = "Canon", "EOS R5"
    details = exif.get_ifd(0x8769)
    details[0xA431], details[0xA430] = "SERIAL-0815-4711", "Erika Mustermann"
    place = exif.get_ifd(0x8825)
    place[1], place[2] = "N", (48.0, 8.0, 14.0)
    file = io.BytesIO()
    comment = b"shot in Munich"
    Image.fromarray(picture).save(file, "JPEG", exif=exif, comment=comment, quality=95)
    return file.getvalue()


def composed(photo: bytes, xmp: bytes) -> bytes:
    """Cut the blue product out of a photo and finish it on grey."""
    rgb = decode_rgb(photo)
    blue = cv2.inRange(rgb, (0, 0, 120), (90, 140, 255))
    scene = encode_jpeg(np.full((*rgb.shape[:2], 3), 200, np.uint8))
    cutout = CutoutPicture.from_rgba(np.dstack((rgb, blue)))
    return finish(cutout, scene, Scene(light=STUDIO), xmp=xmp).composite.jpeg


@pytest.mark.parametrize(
    ("source", "uri"),
    [
        (
            SourceType.AI_BACKGROUND,
            "http://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic",
        ),
        (SourceType.COMPOSITE, "http://cv.iptc.org/newscodes/digitalsourcetype/composite"),
    ],
)
def test_the_digital_source_type_can_be_read_back(source: SourceType, uri: str) -> None:
    plain = encode_jpeg(np.zeros((16, 16, 3), np.uint8))
    tagged = with_xmp(plain, xmp_packet(source, 'Tee <M> & "co", kitchen\0'))
    xmp = xmp_of(tagged)
    assert xmp.findtext(".//ext:DigitalSourceType", namespaces=NAMES) == uri
    assert xmp.findtext(".//xmp:CreatorTool", namespaces=NAMES) == "Photopipe"
    title = xmp.find(".//dc:title/rdf:Alt/rdf:li", NAMES)
    assert title is not None
    assert title.text == 'Tee <M> & "co", kitchen'
    assert title.get("{http://www.w3.org/XML/1998/namespace}lang") == "x-default"
    assert len(tagged) - len(plain) < 1200


def test_the_packet_lies_between_the_header_and_the_profile() -> None:
    tagged = with_xmp(encode_jpeg(np.zeros((16, 16, 3), np.uint8)), xmp_packet("x", "y"))  # type: ignore[arg-type]
    assert [marker for marker, _ in segments(tagged)][:3] == [0xE0, 0xE1, 0xE2]
    image = Image.open(io.BytesIO(tagged))
    image.load()
    assert image.info["xmp"].startswith(b"<?xpacket")
    assert image.info["icc_profile"]


def test_nothing_of_the_camera_is_left() -> None:
    photo = camera_photo()
    assert b"SERIAL-0815-4711" in photo
    jpeg = composed(photo, xmp_packet(SourceType.COMPOSITE, "SKU-1, default"))
    for secret in (b"SERIAL", b"Mustermann", b"Canon", b"EOS", b"GPS", b"Munich", b"Exif"):
        assert secret not in jpeg
    assert {marker for marker, _ in segments(jpeg)} & set(range(0xE0, 0xFF)) == {0xE0, 0xE1, 0xE2}
    image = Image.open(io.BytesIO(jpeg))
    assert image.size == (120, 200)  # turned as the EXIF said
    assert not image.getexif()


def test_a_packet_has_no_time_of_its_making() -> None:
    packets = {xmp_packet(SourceType.COMPOSITE, "SKU-1, default") for _ in range(3)}
    assert len(packets) == 1
    assert b"Date" not in packets.pop()


def test_a_packet_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        with_xmp(b"\xff\xd8\xff\xd9", b"x" * 70_000)
