"""Where events are sent, and how they are signed: as Standard Webhooks has it.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from pydantic import SecretStr

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.settings import Settings

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  # of the standard
MIN_SECRET_BYTES: Final = 24
MAX_SECRET_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address that events are sent to.

    Args:
        url: May hold a secret.
        key: Signs what is sent there.
    """

    url: SecretStr
    key: bytes

    @property
    def name(self) -> str:
        """Stands for the address where it is shown; the same as long as the address is."""
        return hashlib.sha256(self.url.get_secret_value().encode()).hexdigest()[:12]

    def headers(self, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """Headers of a message.

        Args:
            message_id: The same for each try.
            timestamp: Of this try, seconds since 1970.
        """
        signed = f"{message_id}.{timestamp}.".encode() + body
        signature = base64.b64encode(hmac.digest(self.key, signed, "sha256")).decode()
        return {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": f"v1,{signature}",
        }


def endpoints(settings: Settings) -> tuple[Endpoint, ...]:
    """The endpoints of EVENT_WEBHOOK_URLS.

    Raises:
        ConfigurationError: A secret is missing or of another form; says which.
    """
    urls = _listed(settings.event_webhook_urls)
    secrets = _listed(settings.event_webhook_secrets)
    if not urls:
        return ()
    if len(secrets) == 1:
        secrets *= len(urls)
    if len(secrets) != len(urls):
        raise ConfigurationError(
            f"EVENT_WEBHOOK_SECRETS has {len(secrets)} secrets for {len(urls)} addresses of "
            "EVENT_WEBHOOK_URLS: give one for each, in the same order, or one for all."
        )
    return tuple(
        Endpoint(SecretStr(url), _key(secret, place))
        for place, (url, secret) in enumerate(zip(urls, secrets, strict=True), 1)
    )


def _listed(value: SecretStr | None) -> list[str]:
    written = "" if value is None else value.get_secret_value()
    return [part.strip() for part in written.split(",") if part.strip()]


def _key(secret: str, place: int) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise ConfigurationError(
            f"Secret {place} of EVENT_WEBHOOK_SECRETS must be {SECRET_PREFIX} and "
            f"{MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} random bytes in base64: "
            f'`echo "{SECRET_PREFIX}$(openssl rand -base64 32)"` makes one.'
        )
    return key
