"""Signed webhooks of any system, as Standard Webhooks has them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pydantic import Field, SecretStr

from photopipe_dagster.core.errors import ConfigurationError, PhotoRejectedError
from photopipe_dagster.core.json_text import read_json
from photopipe_dagster.core.plugins import PluginSettings
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.net import standard_webhooks
from photopipe_dagster.sources.announcements import read_announcement
from photopipe_dagster.sources.base import (
    Announcement,
    PhotoSource,
    SourceContext,
    SourcePlugin,
    Webhook,
    WebhookRefusedError,
)

SETTING: Final = "WEBHOOK_SECRETS"

EVENT: Final = "photo.created"

DESCRIPTION: Final = """\
Announce a photo, from any system. The same photo again, at once or years later, is the same job.

The request is signed as [Standard Webhooks](https://www.standardwebhooks.com) has it, with a secret
of `WEBHOOK_SECRETS`. Without `sha256` the photo is fetched before the answer."""

_HEADERS: Final = (
    standard_webhooks.ID_HEADER,
    standard_webhooks.TIMESTAMP_HEADER,
    standard_webhooks.SIGNATURE_HEADER,
)

_TEXT: Final = {"type": "string"}

_PHOTO: Final = {
    "type": "object",
    "required": ["sku", "url"],
    "properties": {
        "sku": _TEXT | {"minLength": 1, "maxLength": 255},
        "url": _TEXT | {"format": "uri"},
        "sha256": _TEXT | {"pattern": "^[0-9A-Fa-f]{64}$"},
        "theme": _TEXT,
        "takenAt": _TEXT | {"format": "date-time"},
    },
}

_BODY: Final = {
    "type": "object",
    "required": ["type", "data"],
    "properties": {"type": {"type": "string", "enum": [EVENT]}, "data": _PHOTO},
}

_EXAMPLE: Final = {
    "type": EVENT,
    "timestamp": "2026-11-01T12:00:00Z",
    "data": {"sku": "MUG-1", "url": "https://pim.example/photos/mug-1.jpg", "theme": "kitchen"},
}

OPENAPI: Final = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": _BODY, "example": _EXAMPLE}},
    },
    "parameters": [
        {"in": "header", "name": name, "required": True, "schema": _TEXT} for name in _HEADERS
    ],
}


class WebhookSettings(PluginSettings):
    """Who may announce photos."""

    webhook_secrets: SecretStr | None = Field(
        None,
        description="`whsec_…`: signs webhooks that announce photos, to "
        "/api/webhooks/photos. Several, separated by commas, while one replaces another. "
        "Empty: none is taken.",
    )


class WebhookReader:
    """Verifies and reads webhooks.

    Args:
        keys: Any of them may have signed; with none every request is refused.
        clock: Seconds since 1970; tests pass their own.
    """

    verifies = True

    def __init__(self, keys: Sequence[bytes], *, clock: Callable[[], float] = time.time) -> None:
        self._keys = tuple(keys)
        self._clock = clock

    def read(self, headers: Mapping[str, str], body: bytes) -> Announcement:
        """Verify a request and read it.

        Raises:
            WebhookRefusedError: It is not signed, or no announcement.
        """
        if not self._keys:
            raise WebhookRefusedError(
                401, "not_configured", f"No webhooks are taken here: set {SETTING}."
            )
        try:
            standard_webhooks.verify(self._keys, headers, body, now=self._clock())
        except standard_webhooks.NotSignedError as error:
            raise WebhookRefusedError(401, "invalid_signature", str(error)) from None
        try:
            content = read_json(body, allow_inf_nan=False)
        except ValueError:
            raise WebhookRefusedError(400, "invalid_json", "The body is not JSON.") from None
        if not isinstance(content, dict) or content.get("type") != EVENT:
            raise WebhookRefusedError(
                422, "unsupported_event", f"type: must be {EVENT}; nothing else is handled here."
            )
        try:
            return read_announcement(content.get("data"))
        except PhotoRejectedError as error:
            raise WebhookRefusedError(422, "invalid_announcement", error.message) from None


class Plugin(SourcePlugin):
    """Any system; it is not polled."""

    name = "webhook"
    title = "signed webhooks"
    settings = WebhookSettings
    webhook = Webhook("/photos", "photo-webhook", DESCRIPTION, OPENAPI)

    def check(self, settings: Settings) -> None:
        """See that each secret is one."""
        _keys(settings)

    def is_on(self, settings: Settings) -> bool:
        """Whether there is a secret."""
        return bool(_keys(settings))

    def open(self, context: SourceContext) -> PhotoSource:
        """There is nothing to connect to."""
        raise ConfigurationError("Signed webhooks come by themselves; nothing can be asked.")

    def open_webhook(self, settings: Settings) -> WebhookReader:
        """Verify with WEBHOOK_SECRETS."""
        return WebhookReader(_keys(settings))


def _keys(settings: Settings) -> list[bytes]:
    secrets = standard_webhooks.listed(settings.of(WebhookSettings).webhook_secrets)
    return [
        standard_webhooks.read_key(secret, place, SETTING)
        for place, secret in enumerate(secrets, 1)
    ]
