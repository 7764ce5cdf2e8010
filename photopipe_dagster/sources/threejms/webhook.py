"""What 3JMS posts, and whether it really comes from there.

``X-3JMS-Signature: sha256=<hex>`` is the HMAC-SHA256 of the raw body. A sender that also sends
``X-3JMS-Timestamp: <unix seconds>`` signs ``{timestamp}.{body}`` instead, and then an old request
cannot be sent again. (Without it a repetition does no harm either: one photo is one job.)

Several secrets, separated by commas, are all accepted: that is how one is replaced without a gap.
"""

from __future__ import annotations

import hmac
import json
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

from photopipe_dagster.core.errors import ConfigurationError, PhotoRejectedError
from photopipe_dagster.core.json_text import read_json
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.sources.announcements import read_announcement, require_digest
from photopipe_dagster.sources.base import Announcement, WebhookRefusedError
from photopipe_dagster.sources.threejms.settings import ThreeJmsSettings

SIGNATURE_HEADER: Final = "X-3JMS-Signature"
TIMESTAMP_HEADER: Final = "X-3JMS-Timestamp"

TIMESTAMP_WINDOW: Final = 300
"""Seconds that a timestamp may differ from our clock, either way."""

MIN_SECRET_BYTES: Final = 12
"""Of a secret in production: a dozen random letters and digits have 71 bits."""

EVENTS: Final = frozenset({"image.created", "image.uploaded"})
"""Both names are in use for the same thing: 3JMS has no documented one."""

DESCRIPTION: Final = """\
Announce a photo. The same photo again, at once or years later, is the same job.

The request must be signed; see `photopipe_dagster.sources.threejms.webhook`. Events other than
`image.created` and `image.uploaded` are refused with 422."""

OPENAPI: Final[Mapping[str, Any]] = json.loads(
    files(__package__).joinpath("webhook.json").read_text("utf-8")
)
"""The body and the headers of a request, as parts of an OpenAPI operation."""

_JSON = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json", re.IGNORECASE)
_SIGNATURE = re.compile(r"sha256=([0-9a-fA-F]{64})")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")

_log = logging.getLogger(__name__)


def sign(secret: bytes, body: bytes, timestamp: int | None = None) -> str:
    """The value of `SIGNATURE_HEADER` for a body, with or without a timestamp (unix seconds)."""
    return f"sha256={_digest(secret, body, None if timestamp is None else str(timestamp)).hex()}"


class WebhookVerifier:
    """Checks signatures of webhooks.

    Args:
        secrets: Any of them may have signed; with none every request is taken for genuine, and a
            loud warning says so.
        clock: Seconds since 1970; tests pass their own.
    """

    def __init__(self, secrets: Sequence[bytes], *, clock: Callable[[], float] = time.time) -> None:
        self._secrets = tuple(secrets)
        self._clock = clock
        if not secrets:
            _log.warning(
                "WEBHOOKS ARE NOT VERIFIED: anybody who reaches this port can create jobs. "
                "Set THREEJMS_WEBHOOK_SECRET; production does not start without it."
            )

    @property
    def verifies(self) -> bool:
        """Whether signatures are checked at all."""
        return bool(self._secrets)

    def read(self, headers: Mapping[str, str], body: bytes) -> Announcement:
        """Verify a request and read it.

        Raises:
            WebhookRefusedError: It is not signed by 3JMS, or no announcement.
            PhotoRejectedError: It does not say which photo it is about.
        """
        self.verify(body, headers.get(SIGNATURE_HEADER), headers.get(TIMESTAMP_HEADER))
        content_type = headers.get("Content-Type", "application/json")
        return _read(content_type.partition(";")[0].strip(), body)

    def verify(self, body: bytes, signature: str | None, timestamp: str | None = None) -> None:
        """Refuse a webhook that 3JMS did not sign.

        Args:
            body: The raw bytes of the request, before anything is read from them.
            signature: The value of `SIGNATURE_HEADER`.
            timestamp: The value of `TIMESTAMP_HEADER`.

        Raises:
            WebhookRefusedError: The signature is missing, malformed or wrong, or the request is
                old.
        """
        if not self.verifies:
            return
        if signature is None:
            raise _not_signed(f"The request is not signed: {SIGNATURE_HEADER} is missing.")
        form = _SIGNATURE.fullmatch(signature.strip())
        if form is None:
            raise _not_signed(f"{SIGNATURE_HEADER} must be sha256= and 64 hexadecimal digits.")
        if timestamp is not None and not _TIMESTAMP.fullmatch(timestamp):
            raise _not_signed(f"{TIMESTAMP_HEADER} must be seconds since 1970.")
        claimed = bytes.fromhex(form[1])
        # All secrets are tried whatever the first one says: the time tells nothing.
        matches = [
            hmac.compare_digest(_digest(secret, body, timestamp), claimed)
            for secret in self._secrets
        ]
        if not any(matches):
            raise _not_signed(
                "The signature does not match the body. Check that THREEJMS_WEBHOOK_SECRET is the "
                "secret that 3JMS signs with, and that nothing on the way changes the body."
            )
        if timestamp is not None and abs(self._clock() - int(timestamp)) > TIMESTAMP_WINDOW:
            raise _not_signed(
                f"{TIMESTAMP_HEADER} is more than {TIMESTAMP_WINDOW} seconds from our clock. "
                "Check both clocks; sign the request again."
            )


def configured_secrets(settings: Settings) -> list[bytes]:
    """The secrets in THREEJMS_WEBHOOK_SECRET; none in development, where it is not set.

    Raises:
        ConfigurationError: There is none in production or one that is too short, or what is set
            holds none.
    """
    configured = settings.of(ThreeJmsSettings).threejms_webhook_secret
    listed = configured.get_secret_value().split(",") if configured is not None else []
    found = [secret.strip().encode() for secret in listed if secret.strip()]
    if not found and (settings.production or listed):
        raise ConfigurationError(
            "THREEJMS_WEBHOOK_SECRET holds no secret. Set it to the secret that 3JMS signs "
            "webhooks with; to change it, list the new and the old one, with a comma between. "
            "Where no photos come from 3JMS, leave it out of SOURCES."
        )
    if settings.production and min(map(len, found)) < MIN_SECRET_BYTES:
        raise ConfigurationError(
            f"A secret in THREEJMS_WEBHOOK_SECRET has less than {MIN_SECRET_BYTES} characters, "
            "which can be guessed. Agree on a longer one with 3JMS, such as `openssl rand -hex 32` "
            "gives."
        )
    return found


def _not_signed(message: str) -> WebhookRefusedError:
    return WebhookRefusedError(401, "invalid_signature", message)


def _read(content_type: str, body: bytes) -> Announcement:
    """The announcement in a genuine request."""
    if not _JSON.fullmatch(content_type):
        raise WebhookRefusedError(415, "unsupported_media_type", "Send JSON, as application/json.")
    try:
        content = read_json(body, allow_inf_nan=False)
    except ValueError:
        raise WebhookRefusedError(400, "invalid_json", "The body is not JSON.") from None
    if not isinstance(content, dict):
        raise WebhookRefusedError(400, "invalid_json", "The body must be a JSON object.")
    if not isinstance(content.get("event"), str) or content["event"] not in EVENTS:
        raise WebhookRefusedError(
            422,
            "unsupported_event",
            f"event: must be {' or '.join(sorted(EVENTS))}; nothing else is handled here.",
        )
    try:
        announcement = read_announcement(content)
    except PhotoRejectedError as error:
        raise WebhookRefusedError(422, "invalid_announcement", error.message) from None
    return require_digest(announcement)


def _digest(secret: bytes, body: bytes, timestamp: str | None) -> bytes:
    signed = body if timestamp is None else timestamp.encode() + b"." + body
    return hmac.digest(secret, signed, "sha256")
