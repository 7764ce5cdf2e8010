"""Tells each thing once: what was told is remembered in the ledger, for all processes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.operations.notifications.channels import (
    Channel,
    DeliveryError,
    Email,
    Slack,
    Webhook,
)
from photopipe_dagster.operations.notifications.message import Level, Message

_log = logging.getLogger(__name__)

_TOLD, _LASTS = "told_", "lasts_"
"""What watermarks' names begin with: of topics that were told, and of those that are to be told
when they are over."""

_AT_ONCE: Final = timedelta(0)


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
        name = _TOLD + message.topic
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
        if message.over:
            await asyncio.to_thread(marks.set, _LASTS + message.topic, message.over)
        return True

    async def tell_over(self, lasting: Collection[str], url: str = "") -> list[str]:
        """Tell people of what they were told and what is over since. It is news when it comes back.

        Args:
            lasting: Topics that last, or of which nobody can tell.
            url: The page on which people see how everything is.

        Returns:
            What was told.

        Raises:
            DeliveryError: No channel took it; it is due again.
        """
        marks, told = self._ledger.watermarks, []
        known = await asyncio.to_thread(marks.beginning, _LASTS)
        for name, over in known.items():
            topic = name.removeprefix(_LASTS)
            if topic in lasting:
                continue
            message = Message(f"over_{topic}", over, "Nothing is to be done.", Level.INFO, url)
            await self.notify(message, repeat=_AT_ONCE)
            for mark in (_TOLD + topic, name):
                await asyncio.to_thread(marks.forget, mark)
            told.append(over)
        return told


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
