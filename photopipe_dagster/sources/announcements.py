"""What another system says about a photo, typed; its raw JSON goes no further than this module.

3JMS has no public documentation, so the names of its fields are an assumption. Each field is found
under any of these, the first one present wins:

==============  ===================================  ==========================================
field           read from                            what it must be
==============  ===================================  ==========================================
``sku``         ``sku``                              text, 1 to 255 characters, taken verbatim
``image_url``   ``imageUrl``, ``image_url``, ``url``  where the photo can be downloaded
``sha256``      ``sha256``, ``hash``                 6 to 64 hexadecimal digits
``taken_at``    ``takenAt``, ``taken_at``            ISO 8601; UTC if it names no offset
``updated_at``  ``updatedAt``, ``updated_at``        ISO 8601; UTC if it names no offset
``theme``       ``theme``                            text; the default theme where absent
``height_cm``   ``heightCm``, ``height_cm``          the product's height, centimetres
==============  ===================================  ==========================================

Other fields are ignored. Types are strict: a number is never taken for a text. A moment or height
that cannot be read is left out, with a warning: the photo does not need it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
)

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.core.photo import MAX_SKU_CHARACTERS
from photopipe_dagster.ledger.product_sizes import MAX_CM
from photopipe_dagster.sources.base import Announcement, Malformed
from photopipe_dagster.sources.redaction import json_kind, without_secrets

MAX_URL_CHARACTERS: Final = 4096
"""Signed URLs are long; nothing honest is longer than this."""

_MOMENTS: Final = {
    "taken_at": ("takenAt", "taken_at"),
    "updated_at": ("updatedAt", "updated_at"),
}
"""Optional fields, and the names that they are found under."""

_DIGEST = re.compile(r"[0-9a-f]{6,64}")


def _lower_digest(value: str) -> str:
    digest = value.lower()
    if not _DIGEST.fullmatch(digest):
        raise ValueError("must be the 64 hexadecimal digits of the photo's SHA-256")
    return digest


def read_moment(value: object) -> datetime | None:
    """A moment in UTC from ISO 8601 text; UTC is assumed where it names no offset.

    Raises:
        ValueError: It is something else, or out of the calendar's range.
    """
    if value is None:
        return None
    try:
        # RFC 3339 permits t and z, Python does not.
        moment = datetime.fromisoformat(value.strip().upper()) if isinstance(value, str) else value
        if not isinstance(moment, datetime):
            raise TypeError
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        raise ValueError("must be a moment in ISO 8601, such as 2026-11-01T12:00:00Z") from None


Digest = Annotated[str, AfterValidator(_lower_digest)]
"""SHA-256 in lower-case hexadecimal digits, or its beginning."""


class _Entry(BaseModel):
    """A photo as others name it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    sku: str = Field(min_length=1, max_length=MAX_SKU_CHARACTERS)
    ref: str = Field(
        min_length=1,
        max_length=MAX_URL_CHARACTERS,
        validation_alias=AliasChoices("imageUrl", "image_url", "url"),
    )
    sha256: Digest | None = Field(None, validation_alias=AliasChoices("sha256", "hash"))
    theme: str | None = None


def read_announcement(item: object) -> Announcement:
    """Read what was sent.

    Raises:
        PhotoRejectedError: The message names each field that is wrong, and why; it holds no value.
    """
    if not isinstance(item, Mapping):
        raise PhotoRejectedError(
            f"A photo must be a JSON object with sku and imageUrl, not {json_kind(item)}."
        )
    try:
        entry = _Entry.model_validate(item)
    except ValidationError as error:
        raise PhotoRejectedError(_explain(error)) from None
    taken_at, not_taken = _moment(item, "taken_at")
    updated_at, not_updated = _moment(item, "updated_at")
    height, no_height = _height(item)
    warnings = tuple(warning for warning in (not_taken, not_updated, no_height) if warning)
    return Announcement(
        **dict(entry),
        taken_at=taken_at,
        updated_at=updated_at,
        height_cm=height,
        warnings=warnings,
    )


def _moment(item: Mapping[Any, Any], field: str) -> tuple[datetime | None, str]:
    """An optional moment, and a warning if there is one that cannot be read."""
    name = next((name for name in _MOMENTS[field] if name in item), field)
    try:
        return read_moment(item.get(name)), ""
    except ValueError as error:
        return None, f"{name}: {error}; it is left out."


def _height(item: Mapping[Any, Any]) -> tuple[float | None, str]:
    """An optional height in centimetres, and a warning if there is one that cannot be."""
    name = next((name for name in ("heightCm", "height_cm") if name in item), "heightCm")
    value = item.get(name)
    if value is None:
        return None, ""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MAX_CM:
        return float(value), ""
    return None, f"{name}: must be centimetres, more than 0 and at most {MAX_CM:g}; it is left out."


def require_digest(announcement: Announcement) -> Announcement:
    """The announcement, if it says which photo it is about.

    Raises:
        PhotoRejectedError: The source knows the digest of each of its photos, and has not sent it.
    """
    if announcement.sha256 is None:
        raise PhotoRejectedError(
            "sha256: is missing; a photo is known by the SHA-256 of its bytes."
        )
    return announcement


def read_listed(item: object) -> Announcement | Malformed:
    """Read one entry of a listing; what is wrong with it is a value, so that the rest goes on."""
    try:
        return require_digest(read_announcement(item))
    except PhotoRejectedError as error:
        return Malformed(error.message, without_secrets(item), _moment_of(item))


def _moment_of(item: object) -> datetime | None:
    if not isinstance(item, Mapping):
        return None
    return _moment(item, "updated_at")[0]


def _explain(error: ValidationError) -> str:
    faults = []
    for fault in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "missing":
            reason = "is missing"
        elif fault["type"] == "value_error":
            reason = str(fault["ctx"]["error"])
        elif fault["type"] == "string_unicode":
            reason = "is cut within a character"
        else:
            reason = fault["msg"][0].lower() + fault["msg"][1:]
        faults.append(f"{name}: {reason}")
    return f"Invalid announcement: {'; '.join(faults)}."
