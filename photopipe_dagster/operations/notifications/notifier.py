"""Tells each thing once: what was told is remembered in the ledger, for all processes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.operations.notifications.channels import (
    Channel,
    DeliveryError,
    Email,
    Slack,
    Webhook,
)
from photopipe_dagster.operations.notifications.message import Message

_log = logging.getLogger(__name__)


class Notifier:
    """Sends messages to all channels.

    Args:
        ledger: Remembers what was told.
        channels: Ways to tell people; with none, messages are only logged.
        repeat: How long a topic is silent after it was told.
    """

    def __init__(self, ledger: Ledger, channels: Sequence[Channel], repeat: timedelta) -> None:
        self._ledger = ledger
        self.channels = tuple(channels)
        self._repeat = repeat

    async def notify(self, message: Message, *, repeat: timedelta | None = None) -> bool:
        """Tell people, unless this topic was told a short while ago.

        If no channel takes the message, it is due again. A channel that fails while another
        delivers is logged.

        Args:
            repeat: How long the topic is silent then; the notifier's own where not given.

        Returns:
            Whether the message was due.

        Raises:
            DeliveryError: No channel took it.
        """
        name = f"told_{message.topic}"
        marks = self._ledger.watermarks
        silence = self._repeat if repeat is None else repeat
        if not await asyncio.to_thread(marks.first_in, name, silence, message.title):
            return False
        _log.warning("%s: %s", message.title, message.text)
        failures = [
            failure for channel in self.channels if (failure := await _try(channel, message))
        ]
        for failure in failures:
            _log.error("%s", failure)
        if self.channels and len(failures) == len(self.channels):
            await asyncio.to_thread(marks.forget, name)
            raise failures[0]
        return True


def open_notifier(settings: Settings, ledger: Ledger) -> Notifier:
    """The notifier of the channels that the settings name."""
    channels: list[Channel] = []
    if settings.alert_slack_webhook_url:
        channels.append(Slack(settings.alert_slack_webhook_url))
    if settings.alert_webhook_url:
        channels.append(Webhook(settings.alert_webhook_url))
    if settings.alert_email_to and settings.smtp_host:
        channels.append(
            Email(
                settings.smtp_host,
                settings.smtp_port,
                settings.alert_email_from or settings.alert_email_to[0],
                settings.alert_email_to,
                settings.smtp_security,
                settings.smtp_username,
                settings.smtp_password,
            )
        )
    return Notifier(ledger, channels, timedelta(minutes=settings.alert_repeat_minutes))


async def _try(channel: Channel, message: Message) -> DeliveryError | None:
    try:
        await channel.deliver(message)
    except DeliveryError as failure:
        return failure
    return None
