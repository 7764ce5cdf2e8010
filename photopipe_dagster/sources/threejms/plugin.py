"""3JMS, an inventory system: announces photos by webhook, and lists them for those it missed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.sources.base import Polling, Schedule, SourceContext, SourcePlugin, Webhook
from photopipe_dagster.sources.threejms.client import ThreeJmsClient
from photopipe_dagster.sources.threejms.settings import ThreeJmsSettings
from photopipe_dagster.sources.threejms.webhook import (
    DESCRIPTION,
    OPENAPI,
    WebhookVerifier,
    configured_secrets,
)

POLLING: Final = Polling(sensor="threejms_poll", watermark="last_3jms_poll", arrives_by="poll")


class Plugin(SourcePlugin):
    """3JMS."""

    name = "threejms"
    title = "3JMS"
    settings = ThreeJmsSettings
    polling = POLLING
    webhook = Webhook("/3jms/images", "webhook", DESCRIPTION, OPENAPI)
    advice: ClassVar[Mapping[ErrorCode, str]] = {
        ErrorCode.RATE_LIMIT_ERROR: "THREEJMS_POLL_SECONDS, if raised, has 3JMS polled less often."
    }

    def check(self, settings: Settings) -> None:
        """See that webhooks are signed in production."""
        configured_secrets(settings)

    def open(self, context: SourceContext) -> ThreeJmsClient:
        """A client for THREEJMS_API_URL."""
        return ThreeJmsClient(context.settings, context.transport)

    def sandbox_variables(self, sandbox: str) -> dict[str, str]:
        """The sandbox's 3JMS, which is polled more often than the real one."""
        return {
            "THREEJMS_API_URL": f"{sandbox}/threejms",
            "THREEJMS_API_KEY": "sandbox-3jms-key",
            "THREEJMS_POLL_SECONDS": "5",
        }

    def schedule(self, settings: Settings) -> Schedule:
        """Every THREEJMS_POLL_SECONDS, where there is a THREEJMS_API_URL."""
        ours = settings.of(ThreeJmsSettings)
        return Schedule(
            ours.threejms_poll_seconds,
            ours.threejms_poll_overlap_seconds,
            off=None
            if ours.threejms_api_url
            else "THREEJMS_API_URL is not set: photos come by webhook only.",
        )

    def open_webhook(self, settings: Settings) -> WebhookVerifier:
        """Verify with THREEJMS_WEBHOOK_SECRET. Development goes without, with a loud warning."""
        return WebhookVerifier(configured_secrets(settings))
