"""Where events are sent, and with which key each is signed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pydantic import SecretStr

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.net.standard_webhooks import listed, read_key


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


def endpoints(settings: Settings) -> tuple[Endpoint, ...]:
    """The endpoints of EVENT_WEBHOOK_URLS.

    Raises:
        ConfigurationError: A secret is missing or of another form; says which.
    """
    urls = listed(settings.event_webhook_urls)
    secrets = listed(settings.event_webhook_secrets)
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
        Endpoint(SecretStr(url), read_key(secret, place, "EVENT_WEBHOOK_SECRETS"))
        for place, (url, secret) in enumerate(zip(urls, secrets, strict=True), 1)
    )
