import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from pydantic import SecretStr

from photopipe_dagster.net.client import Retry
from photopipe_dagster.operations.notifications.channels import (
    DeliveryError,
    Email,
    Slack,
    Webhook,
)
from photopipe_dagster.operations.notifications.message import Level, Message

MESSAGE = Message("queue_age", "5 photos wait", "Look at <photo_dispatch> & co.", Level.ALERT)


class Listener:
    """A web server that keeps what it is sent."""

    def __init__(self, statuses: list[int]) -> None:
        self.statuses = statuses
        self.bodies: list[Any] = []
        self.url = ""


@contextmanager
def listening(*statuses: int) -> Iterator[Listener]:
    listener = Listener(list(statuses))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            listener.bodies.append(json.loads(body))
            self.send_response(listener.statuses.pop(0) if listener.statuses else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    listener.url = f"http://127.0.0.1:{server.server_port}/T0/SECRET-PATH"
    try:
        yield listener
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_slack_is_sent_text_that_it_reads_as_it_is_meant():
    with listening() as slack:
        await Slack(SecretStr(slack.url)).deliver(MESSAGE)
    assert slack.bodies == [
        {"text": ":rotating_light: *5 photos wait*\nLook at &lt;photo_dispatch&gt; &amp; co."}
    ]


async def test_a_webhook_is_sent_json_and_tried_again():
    with listening(503, 200) as hook:
        await Webhook(SecretStr(hook.url), Retry(base_seconds=0)).deliver(MESSAGE)
    assert len(hook.bodies) == 2
    assert hook.bodies[1] == {
        "topic": "queue_age",
        "level": "alert",
        "title": "5 photos wait",
        "text": "Look at <photo_dispatch> & co.",
    }


async def test_an_address_that_refuses_is_named_by_its_variable_alone():
    with listening(404) as hook, pytest.raises(DeliveryError) as caught:
        await Webhook(SecretStr(hook.url)).deliver(MESSAGE)
    assert "ALERT_WEBHOOK_URL answered 404" in str(caught.value)
    assert "SECRET" not in str(caught.value)


async def test_an_address_where_nobody_listens_is_named_by_its_variable_alone():
    with listening() as hook:
        url = hook.url
    with pytest.raises(DeliveryError, match="Nobody answered at ALERT_SLACK") as caught:
        await Slack(SecretStr(url), Retry(attempts=2, base_seconds=0)).deliver(MESSAGE)
    assert "SECRET" not in str(caught.value)


class Inbox:
    """A mail server's handler that keeps what it is sent."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802
        self.mails.append(envelope)
        return "250 OK"


@contextmanager
def mail_server(inbox: Inbox) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


async def test_mail_arrives_at_everybody():
    inbox = Inbox()
    with mail_server(inbox) as port:
        to = ("shop@example.com", "boss@example.com")
        mail = Email("127.0.0.1", port, "photopipe@example.com", to, security="none")
        await mail.deliver(MESSAGE)
    (sent,) = inbox.mails
    assert sent.rcpt_tos == list(to)
    assert sent.mail_from == "photopipe@example.com"
    assert b"Subject: [Photopipe] 5 photos wait" in sent.content
    assert b"Look at <photo_dispatch> & co." in sent.content


async def test_a_mail_server_without_tls_is_not_told_in_the_clear():
    inbox = Inbox()
    with mail_server(inbox) as port, pytest.raises(DeliveryError, match="SMTP_SECURITY"):
        await Email("127.0.0.1", port, "a@example.com", ("b@example.com",)).deliver(MESSAGE)
    assert inbox.mails == []
