"""Whether a webhook really comes from 3JMS.

``X-3JMS-Signature: sha256=<hex>`` is the HMAC-SHA256 of the raw body. A sender that also sends
``X-3JMS-Timestamp: <unix seconds>`` signs ``{timestamp}.{body}`` instead, and then an old request
cannot be sent again. (Without it a repetition does no harm either: one photo is one job.)

Several secrets, separated by commas, are all accepted: that is how one is replaced without a gap.
"""

from __future__ import annotations

import hmac
import logging
import re
import time
from collections.abc import Callable, Sequence
from typing import Final

from photopipe_dagster.core.errors import ConfigurationError, PhotopipeError
from photopipe_dagster.core.settings import Settings

SIGNATURE_HEADER: Final = "X-3JMS-Signature"
TIMESTAMP_HEADER: Final = "X-3JMS-Timestamp"

TIMESTAMP_WINDOW: Final = 300
"""Seconds that a timestamp may differ from our clock, either way."""

_SIGNATURE = re.compile(r"sha256=([0-9a-fA-F]{64})")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")

_log = logging.getLogger(__name__)


class SignatureError(PhotopipeError):
    """A webhook is not signed, or not by 3JMS. The message says what to check, never a secret."""


def sign(secret: bytes, body: bytes, timestamp: int | None = None) -> str:
    """The value of `SIGNATURE_HEADER` for a body, with or without a timestamp (unix seconds)."""
    return f"sha256={_digest(secret, body, None if timestamp is None else str(timestamp)).hex()}"


class WebhookVerifier:
    """Checks signatures of webhooks.

    Args:
        secrets: Any of them may have signed; with none every request is taken for genuine.
        clock: Seconds since 1970; tests pass their own.
    """

    def __init__(self, secrets: Sequence[bytes], *, clock: Callable[[], float] = time.time) -> None:
        self._secrets = tuple(secrets)
        self._clock = clock

    @classmethod
    def from_settings(
        cls, settings: Settings, *, clock: Callable[[], float] = time.time
    ) -> WebhookVerifier:
        """Use THREEJMS_WEBHOOK_SECRET. Development goes without, with a loud warning.

        Raises:
            ConfigurationError: There is no secret in production, or what is set holds none.
        """
        configured = settings.threejms_webhook_secret
        listed = configured.get_secret_value().split(",") if configured is not None else []
        secrets = [secret.strip().encode() for secret in listed if secret.strip()]
        if not secrets and (settings.production or listed):
            raise ConfigurationError(
                "THREEJMS_WEBHOOK_SECRET holds no secret. Set it to the secret that 3JMS signs "
                "webhooks with; to change it, list the new and the old one, with a comma between."
            )
        if not secrets:
            _log.warning(
                "WEBHOOKS ARE NOT VERIFIED: anybody who reaches this port can create jobs. "
                "Set THREEJMS_WEBHOOK_SECRET; production does not start without it."
            )
        return cls(secrets, clock=clock)

    @property
    def enforced(self) -> bool:
        """Whether signatures are checked at all."""
        return bool(self._secrets)

    def verify(self, body: bytes, signature: str | None, timestamp: str | None = None) -> None:
        """Refuse a webhook that 3JMS did not sign.

        Args:
            body: The raw bytes of the request, before anything is read from them.
            signature: The value of `SIGNATURE_HEADER`.
            timestamp: The value of `TIMESTAMP_HEADER`.

        Raises:
            SignatureError: The signature is missing, malformed or wrong, or the request is old.
        """
        if not self.enforced:
            return
        if signature is None:
            raise SignatureError(f"The request is not signed: {SIGNATURE_HEADER} is missing.")
        form = _SIGNATURE.fullmatch(signature.strip())
        if form is None:
            raise SignatureError(f"{SIGNATURE_HEADER} must be sha256= and 64 hexadecimal digits.")
        if timestamp is not None and not _TIMESTAMP.fullmatch(timestamp):
            raise SignatureError(f"{TIMESTAMP_HEADER} must be seconds since 1970.")
        claimed = bytes.fromhex(form[1])
        # All secrets are tried whatever the first one says: the time tells nothing.
        matches = [
            hmac.compare_digest(_digest(secret, body, timestamp), claimed)
            for secret in self._secrets
        ]
        if not any(matches):
            raise SignatureError(
                "The signature does not match the body. Check that THREEJMS_WEBHOOK_SECRET is the "
                "secret that 3JMS signs with, and that nothing on the way changes the body."
            )
        if timestamp is not None and abs(self._clock() - int(timestamp)) > TIMESTAMP_WINDOW:
            raise SignatureError(
                f"{TIMESTAMP_HEADER} is more than {TIMESTAMP_WINDOW} seconds from our clock. "
                "Check both clocks; sign the request anew."
            )


def _digest(secret: bytes, body: bytes, timestamp: str | None) -> bytes:
    signed = body if timestamp is None else timestamp.encode() + b"." + body
    return hmac.digest(secret, signed, "sha256")
