"""Ways to tell people: Slack, e-mail, and a plain webhook."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Literal, Protocol

import httpx
from pydantic import SecretStr

from photopipe_dagster.core.errors import NetworkError, PhotopipeError
from photopipe_dagster.net.client import Retry, new_client, send
from photopipe_dagster.operations.notifications.message import Level, Message

_SIGN = {Level.INFO: ":bar_chart:", Level.WARNING: ":warning:", Level.ALERT: ":rotating_light:"}

SMTP_SECONDS = 20


class DeliveryError(PhotopipeError):
    """A channel did not take a message. Its text names the setting to look at, not its value."""


class Channel(Protocol):
    """A way to tell people."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    async def deliver(self, message: Message) -> None:
        """Deliver a message.

        Raises:
            DeliveryError: It was not taken.
        """
        ...


@dataclass(frozen=True, slots=True)
class Slack:
    """A Slack incoming webhook.

    Args:
        url: Its address, which is a secret.
        retry: How often and how long to try.
    """

    url: SecretStr
    retry: Retry = field(default_factory=Retry)
    name: str = "Slack"

    async def deliver(self, message: Message) -> None:
        """Post the message; Slack answers 200 with ``ok``."""
        # Slack reads &, < and > as markup: https://docs.slack.dev/messaging/formatting-message-text
        text = f"{_SIGN[message.level]} *{_plain(message.title)}*\n{_plain(message.text)}"
        await _post(self.url, {"text": text}, self.name, "ALERT_SLACK_WEBHOOK_URL", self.retry)


@dataclass(frozen=True, slots=True)
class Webhook:
    """Any address that takes JSON: ``{topic, level, title, text}``.

    Args:
        url: Its address, which may hold a secret.
        retry: How often and how long to try.
    """

    url: SecretStr
    retry: Retry = field(default_factory=Retry)
    name: str = "webhook"

    async def deliver(self, message: Message) -> None:
        """Post the message; any 2xx will do."""
        body = {
            "topic": message.topic,
            "level": message.level.value,
            "title": message.title,
            "text": message.text,
        }
        await _post(self.url, body, self.name, "ALERT_WEBHOOK_URL", self.retry)


@dataclass(frozen=True, slots=True)
class Email:
    """Mail through an SMTP server.

    Args:
        security: ``starttls``, ``tls`` from the first byte, or ``none`` for a server next door.
    """

    host: str
    port: int
    sender: str
    to: Sequence[str]
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: SecretStr | None = None
    name: str = "e-mail"

    async def deliver(self, message: Message) -> None:
        """Hand the mail to the server."""
        try:
            await asyncio.to_thread(self._send, message)
        except (OSError, smtplib.SMTPException) as error:
            raise DeliveryError(
                f"The mail server did not take a message ({type(error).__name__}). Check "
                "SMTP_HOST, SMTP_PORT, SMTP_SECURITY and the account."
            ) from error

    def _send(self, message: Message) -> None:
        mail = EmailMessage()
        mail["Subject"] = f"[Photopipe] {message.title}"
        mail["From"] = self.sender
        mail["To"] = ", ".join(self.to)
        mail.set_content(message.text)
        context = ssl.create_default_context()
        connect: smtplib.SMTP
        if self.security == "tls":
            connect = smtplib.SMTP_SSL(self.host, self.port, timeout=SMTP_SECONDS, context=context)
        else:
            connect = smtplib.SMTP(self.host, self.port, timeout=SMTP_SECONDS)
        with connect as server:
            if self.security == "starttls":
                server.starttls(context=context)
            if self.username and self.password:
                server.login(self.username, self.password.get_secret_value())
            server.send_message(mail)


async def _post(url: SecretStr, body: object, name: str, variable: str, retry: Retry) -> None:
    async with new_client() as client:
        request = client.build_request("POST", httpx.URL(url.get_secret_value()), json=body)
        try:
            # A message that comes twice is better than one that is lost.
            response = await send(client, request, safe=True, service=name, retry=retry)
        except NetworkError as error:
            # The path of such an address is its secret: it is not shown.
            raise DeliveryError(f"Nobody answered at {variable}: is it right?") from error
    if not response.is_success:
        raise DeliveryError(f"{variable} answered {response.status_code}: is it right?")


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
