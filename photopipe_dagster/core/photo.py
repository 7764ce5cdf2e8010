"""The identity of a photo, and where its pictures are stored.

Everything here is pure: the same photo has the same partition key, job id and object keys on
every machine.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.core.stages import SPECS, STORED
from photopipe_dagster.core.stages import STAGES as STAGES
from photopipe_dagster.core.stages import Stage as Stage

MAX_SKU_CHARACTERS = 255
"""Shopify's own limit for a SKU."""

MAX_PART_BYTES = 255
"""The longest file name on common file systems; an encoded SKU is a folder name."""

_SHA256 = re.compile(r"[0-9a-f]{6,64}")
_THEME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True, order=True)
class PhotoKey:
    """One photo of one product in one theme: the unit of work, payment and publication.

    Args:
        sku: The product's SKU, verbatim (1 to 255 characters, no control characters).
        sha256: The SHA-256 of the original's bytes, lower-case hex. Fewer than 64 digits (at
            least 6) are a claim that the download must confirm; only development accepts one.
        theme: Name of the theme: lower-case letters, digits, ``-`` and ``_``.
        known_as: Its partition in Dagster, where that was made by a version which escaped more.

    Raises:
        PhotoRejectedError: A part is not what it must be; the message says which and why.
    """

    sku: str
    sha256: str
    theme: str
    known_as: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.sku.strip():
            raise PhotoRejectedError("The SKU is empty; send the product's SKU.")
        if any(not character.isprintable() for character in self.sku):
            raise PhotoRejectedError(
                f"The SKU {self.sku!r} contains characters that cannot be printed."
            )
        if len(self.sku) > MAX_SKU_CHARACTERS or len(_encode(self.sku)) > MAX_PART_BYTES:
            raise PhotoRejectedError(
                f"The SKU has {len(self.sku)} characters; at most {MAX_SKU_CHARACTERS} "
                f"(and {MAX_PART_BYTES} bytes when percent-encoded) are possible.",
            )
        if not _SHA256.fullmatch(self.sha256):
            raise PhotoRejectedError(
                "The sha256 must be 64 lower-case hexadecimal digits "
                f"(in development a prefix of at least 6); got {self.sha256[:80]!r}.",
            )
        if not _THEME.fullmatch(self.theme):
            raise PhotoRejectedError(
                "A theme's name has lower-case letters, digits, '-' and '_', at most 64; "
                f"got {self.theme[:80]!r}.",
            )

    @property
    def partition_key(self) -> str:
        """``{sku}/{sha256}/{theme}``, the SKU as people search for it; Dagster's partition key."""
        return self.known_as or f"{_escape(self.sku)}/{self.sha256}/{self.theme}"

    @property
    def job_id(self) -> str:
        """16 lower-case letters and digits (80 bits) derived from the key.

        Base32, because an id that began with ``-`` would read as an option on a command line.
        """
        digest = hashlib.sha256(self._percent_encoded.encode()).digest()
        return base64.b32encode(digest[:10]).decode().lower()

    @property
    def _percent_encoded(self) -> str:
        """What ids are made of; the partition key of earlier versions."""
        return f"{_encode(self.sku)}/{self.sha256}/{self.theme}"

    @classmethod
    def parse(cls, partition_key: str) -> PhotoKey:
        """Read a partition key back, also one of an earlier version, which keeps its name.

        Raises:
            PhotoRejectedError: It is not one that `partition_key` makes or made.
        """
        parts = partition_key.rsplit("/", 2)
        if len(parts) == 3:
            key = cls(sku=unquote(parts[0]), sha256=parts[1], theme=parts[2])
            if partition_key == key.partition_key:
                return key
            if partition_key == key._percent_encoded:
                return replace(key, known_as=partition_key)
        raise PhotoRejectedError(
            f"{partition_key[:300]!r} is no photo: a partition key is sku/sha256/theme. "
            "Delete it in Dagster, and let `photopipe submit` or the webhook make partitions.",
        )

    @classmethod
    def job_id_of(cls, partition_key: str) -> str | None:
        """The job's id of a partition key; ``None`` if it is not one that `partition_key` makes."""
        try:
            return cls.parse(partition_key).job_id
        except PhotoRejectedError:
            return None

    def object_key(self, stage: Stage, variant: int = 1) -> str:
        """Where the picture of a stage is stored.

        Args:
            stage: Any stage but SHOPIFY_MEDIA, whose picture is the shop's.
            variant: Which of several backgrounds, from 1.
        """
        spec = SPECS[stage]
        if not spec.folder:
            raise ValueError("the published media is stored by the shop, not by us")
        sku = _encode(self.sku)
        if spec.of_theme:
            name = f"{self.theme}/{sku}/{self.sha256}_{variant}"
        else:
            name = f"{sku}/{self.sha256}"
        return f"{spec.folder}/{name}.{spec.extension}"

    def repair_key(self, digest: str) -> str:
        """Where a cut-out is kept that a person has repaired, or that came of a repair.

        Args:
            digest: SHA-256 of it: these objects never change.
        """
        return f"repairs/{_encode(self.sku)}/{self.sha256}/{digest}.png"

    def __str__(self) -> str:
        return self.partition_key


@dataclass(frozen=True, slots=True)
class StoredName:
    """What the key of a stored picture says.

    Args:
        theme: ``None`` for originals and masks, which all themes share.
    """

    stage: Stage
    sku: str
    sha256: str
    theme: str | None


def parse_object_key(object_key: str) -> StoredName | None:
    """Read a key of `PhotoKey.object_key` back; ``None`` if it is none."""
    for stage, pattern in _OBJECT_KEYS.items():
        found = pattern.fullmatch(object_key)
        if found is None:
            continue
        part = found.groupdict()
        try:
            key = PhotoKey(unquote(part["sku"]), part["sha256"], part.get("theme", "default"))
        except PhotoRejectedError:
            return None
        if key.object_key(stage, int(part.get("variant", 1))) != object_key:
            return None
        return StoredName(stage, key.sku, key.sha256, part.get("theme"))
    return None


_PHOTO = r"(?P<sku>[^/]+)/(?P<sha256>[0-9a-f]{6,64})"
_IN_THEME = rf"(?P<theme>[^/]+)/{_PHOTO}_(?P<variant>\d{{1,9}})"
_OBJECT_KEYS = {
    stage: re.compile(rf"{spec.folder}/{_IN_THEME if spec.of_theme else _PHOTO}\.{spec.extension}")
    for stage, spec in SPECS.items()
    if spec.folder
}

PICTURE_PREFIXES = tuple(f"{SPECS[stage].folder}/" for stage in STORED)
"""Where all pictures are."""


def _escape(sku: str) -> str:
    """Percent-encode reversibly what Dagster reads as its own in a partition key, and no more.

    That is ``...`` between the ends of a range, and in the text field for partitions commas,
    brackets, quotes, stars, backslashes and white space around a key.
    """
    escaped = _DAGSTERS.sub(lambda found: quote(found[0], safe=""), sku)
    return escaped.replace("...", "%2E%2E%2E")


_DAGSTERS = re.compile(r"""[%,"'*\\\[\]]|^\s+|\s+$""")


def _encode(sku: str) -> str:
    """Percent-encode reversibly, so that no SKU escapes its folder.

    Dots stay readable except where they would mean something: ``.`` and ``..`` are folders.
    """
    encoded = quote(sku, safe="")
    if encoded == ".":
        return "%2E"
    return encoded.replace("..", "%2E%2E")
