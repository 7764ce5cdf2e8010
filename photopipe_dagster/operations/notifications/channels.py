"""Ways to tell people: Slack, e-mail, and a plain webhook."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from email.message import EmailMessage
from html import escape
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
class Webhook:
    """Any address that takes JSON: ``{topic, level, title, text, url}``; any 2xx will do.

    Args:
        url: Its address, which may hold a secret.
        retry: How often and how long to try.
        variable: The setting that names it.
    """

    url: SecretStr
    retry: Retry = field(default_factory=Retry)
    name: str = "webhook"
    variable: str = "ALERT_WEBHOOK_URL"

    def body(self, message: Message) -> Mapping[str, object]:
        """What is sent of a message."""
        body = asdict(message)
        return {
            name: body[name] for name in ("topic", "level", "title", "text", "url") if body[name]
        }

    async def deliver(self, message: Message) -> None:
        """Post the message."""
        url, body = httpx.URL(self.url.get_secret_value()), self.body(message)
        async with new_client() as client:
            request = client.build_request("POST", url, json=body)
            try:
                # A message that comes twice is better than one that is lost.
                response = await send(
                    client, request, safe=True, service=self.name, retry=self.retry
                )
            except NetworkError as error:
                # The path of such an address is its secret: it is not shown.
                raise DeliveryError(f"Nobody answered at {self.variable}: is it right?") from error
        if not response.is_success:
            raise DeliveryError(f"{self.variable} answered {response.status_code}: is it right?")


@dataclass(frozen=True, slots=True)
class Slack(Webhook):
    """A Slack incoming webhook, whose address is a secret."""

    name: str = "Slack"
    variable: str = "ALERT_SLACK_WEBHOOK_URL"

    def body(self, message: Message) -> Mapping[str, object]:
        """A text; Slack reads &, < and > in it as markup.

        https://docs.slack.dev/messaging/formatting-message-text
        """
        title, text, url = (
            escape(each, quote=False) for each in (message.title, message.text, message.url)
        )
        link = f"\n<{url}|Open in Photopipe>" if url else ""
        return {"text": f"{_SIGN[message.level]} *{title}*\n{text}{link}"}


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
        mail.set_content("\n\n".join(filter(None, [message.text, message.url])))
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
