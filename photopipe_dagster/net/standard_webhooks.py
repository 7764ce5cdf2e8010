"""Signed messages as Standard Webhooks has them, sent and received.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import SecretStr

from photopipe_dagster.core.errors import ConfigurationError, PhotopipeError

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  # of the standard
MIN_SECRET_BYTES: Final = 24
MAX_SECRET_BYTES: Final = 64

ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"

TOLERANCE_SECONDS: Final = 300
"""That a timestamp may differ from our clock, either way: as the standard's libraries have it."""

_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")


class NotSignedError(PhotopipeError):
    """A message is not signed, not by whom it should be, or old; says which."""


def listed(value: SecretStr | None) -> list[str]:
    """What a variable lists, separated by commas."""
    written = "" if value is None else value.get_secret_value()
    return [part.strip() for part in written.split(",") if part.strip()]


def read_key(secret: str, place: int, setting: str) -> bytes:
    """The key of a secret.

    Args:
        place: Of it in the variable, from 1.
        setting: The variable.

    Raises:
        ConfigurationError: It is of another form.
    """
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise ConfigurationError(
            f"Secret {place} of {setting} must be {SECRET_PREFIX} and "
            f"{MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} random bytes in base64: "
            f'`echo "{SECRET_PREFIX}$(openssl rand -base64 32)"` makes one.'
        )
    return key


def headers(key: bytes, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Headers of a message.

    Args:
        message_id: The same for each try.
        timestamp: Of this try, seconds since 1970.
    """
    signature = base64.b64encode(_digest(key, message_id, str(timestamp), body)).decode()
    return {
        "Content-Type": "application/json",
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: f"v1,{signature}",
    }


def verify(keys: Sequence[bytes], received: Mapping[str, str], body: bytes, *, now: float) -> None:
    """See that a message is signed with one of these keys, a moment ago.

    Args:
        received: Headers, found by their names in any case.
        body: Raw, before anything is read from it.
        now: Seconds since 1970.

    Raises:
        NotSignedError: It is not.
    """
    found = [received.get(name) for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER)]
    message_id, timestamp, signatures = (each or "" for each in found)
    if not message_id or not timestamp or not signatures:
        raise NotSignedError(
            f"The request is not signed: it needs {ID_HEADER}, {TIMESTAMP_HEADER} and "
            f"{SIGNATURE_HEADER}."
        )
    if not _TIMESTAMP.fullmatch(timestamp):
        raise NotSignedError(f"{TIMESTAMP_HEADER} must be seconds since 1970.")
    claimed = [each.removeprefix("v1,").encode() for each in signatures.split(" ")]
    expected = [base64.b64encode(_digest(key, message_id, timestamp, body)) for key in keys]
    # All are compared whatever the first one says: the time tells nothing.
    matches = [hmac.compare_digest(ours, each) for ours in expected for each in claimed]
    if not any(matches):
        raise NotSignedError(
            "The signature does not match the body. Check that both sides have the same secret, "
            "and that nothing on the way changes the body."
        )
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise NotSignedError(
            f"{TIMESTAMP_HEADER} is more than {TOLERANCE_SECONDS} seconds from our clock. Check "
            "both clocks; sign the request again."
        )


def _digest(key: bytes, message_id: str, timestamp: str, body: bytes) -> bytes:
    return hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
