"""What a picture says of its own origin: an XMP packet in the JPEG, and nothing of the camera's.

The packet names the IPTC digital source type, so that shops and search engines can tell a scene
that a generative model made. It has no date, so that the same picture stays the same bytes.

Of the four terms that Google's image search reads one fits: `compositeSynthetic`, a "mix or
composite of several elements, at least one of which is Generative AI". In
`compositeWithTrainedAlgorithmicMedia`, since September 2024 "augmentation, correction or
enhancement using a Generative AI model, such as with inpainting", the product itself would have
been edited, which ours never is. A scene that is rendered here is neither generative AI nor a
capture of real life (`compositeCapture`): plain `composite` claims nothing of either.
Source: cv.iptc.org/newscodes/digitalsourcetype, version of October 2024.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final
from xml.sax.saxutils import escape

PROVENANCE_VERSION: Final = 2
"""Part of a composite's recipe: raise it when the packet is to say something else."""

CREATOR_TOOL: Final = "Photopipe"

_SCHEME = "http://cv.iptc.org/newscodes/digitalsourcetype/"

_XMP_SIGNATURE = b"http://ns.adobe.com/xap/1.0/\0"

_SEGMENT_LIMIT = 65_533
"""Bytes that a JPEG segment holds beside its length."""


class SourceType(StrEnum):
    """Where the parts of a picture are from, as IPTC NewsCodes (cv.iptc.org) name it."""

    AI_BACKGROUND = _SCHEME + "compositeSynthetic"
    """A photographed product in a scene that a generative model made."""
    COMPOSITE = _SCHEME + "composite"
    """A photographed product on a ground that was rendered without a trained model, or white."""


def xmp_packet(source: SourceType, title: str) -> bytes:
    """Write the packet: XMP (ISO 16684-1), with properties of IPTC Extension and Dublin Core.

    Args:
        source: The digital source type.
        title: A short name of the picture, for ``dc:title``.
    """
    # U+FEFF marks the byte order, and the id is the one that every packet has.
    packet = (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about=""'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        f"<Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType>"
        f"<xmp:CreatorTool>{CREATOR_TOOL}</xmp:CreatorTool>"
        "<dc:format>image/jpeg</dc:format>"
        '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">'
        f"{escape(_printable(title))}"
        "</rdf:li></rdf:Alt></dc:title>"
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
        '<?xpacket end="r"?>'
    )
    return packet.encode()


def with_xmp(jpeg: bytes, packet: bytes) -> bytes:
    """Put a packet into a JPEG that has none, behind its JFIF header.

    Raises:
        ValueError: The packet does not fit into one segment.
    """
    body = _XMP_SIGNATURE + packet
    if len(body) > _SEGMENT_LIMIT:
        raise ValueError(f"an XMP packet of {len(packet)} bytes does not fit into a JPEG segment")
    segment = b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
    after = first_segment_end(jpeg)
    return jpeg[:after] + segment + jpeg[after:]


def first_segment_end(jpeg: bytes) -> int:
    """Where further segments may go: behind the JFIF segment, which has to be the first one."""
    return 4 + int.from_bytes(jpeg[4:6], "big") if jpeg[2:4] == b"\xff\xe0" else 2


def _printable(text: str) -> str:
    """Without the control characters that XML does not allow."""
    return "".join(letter for letter in text if letter.isprintable())
