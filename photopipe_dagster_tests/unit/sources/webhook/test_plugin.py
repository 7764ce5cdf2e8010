"""Signed webhooks of any system: what is taken, and what is refused."""

from __future__ import annotations

import base64
import json

import httpx
import pytest

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.net.standard_webhooks import headers, listed, read_key, verify
from photopipe_dagster.sources.base import Announcement, WebhookRefusedError
from photopipe_dagster.sources.webhook.plugin import Plugin, WebhookReader

KEY, OLD = b"k" * 32, b"o" * 24
NOW = 1_793_534_400
PHOTO = {"sku": "MUG #1", "url": "https://pim.example/1.jpg?sig=hush", "theme": "kitchen"}


def request(key=KEY, at=NOW, **changed):
    content = {"type": "photo.created", "timestamp": "x", "data": PHOTO} | changed
    body = json.dumps(content).encode()
    return httpx.Headers(headers(key, "msg_1", at, body)), body


def altered(name, value):
    received, body = request()
    received[name] = value
    return received, body


@pytest.fixture
def reader():
    return WebhookReader([KEY, OLD], clock=lambda: NOW + 300)


def test_the_standards_own_example_is_genuine():
    # https://github.com/standard-webhooks/standard-webhooks: the example of its libraries.
    key = read_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1, "X")
    received = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    verify([key], received, b'{"test": 2432232314}', now=1614265330)


@pytest.mark.parametrize("key", [KEY, OLD])
def test_a_photo_is_announced_with_any_of_the_secrets(reader, key):
    assert reader.read(*request(key)) == Announcement(
        "MUG #1", "https://pim.example/1.jpg?sig=hush", theme="kitchen"
    )


def test_one_of_several_signatures_is_enough(reader):
    received, body = request()
    received["webhook-signature"] = f"v1a,abc v1,AAAA {received['webhook-signature']}"
    assert reader.read(received, body).sku == "MUG #1"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (request(b"x" * 32), "invalid_signature"),
        (request(at=NOW - 1), "invalid_signature"),
        (request(at=NOW + 601), "invalid_signature"),
        ((request()[0], request()[1] + b" "), "invalid_signature"),
        ((httpx.Headers(), request()[1]), "invalid_signature"),
        (altered("webhook-timestamp", "now"), "invalid_signature"),
        (altered("webhook-id", "msg_2"), "invalid_signature"),
        ((httpx.Headers(headers(KEY, "m", NOW, b"{")), b"{"), "invalid_json"),
        (request(type="photo.deleted"), "unsupported_event"),
        (request(data={"sku": "A"}), "invalid_announcement"),
        (request(data=None), "invalid_announcement"),
    ],
)
def test_what_is_not_genuine_or_no_photo_is_refused(reader, sent, code):
    with pytest.raises(WebhookRefusedError) as caught:
        reader.read(*sent)
    assert caught.value.code == code
    assert "hush" not in caught.value.message


def test_without_a_secret_it_is_off_and_refuses_all():
    plugin, bare = Plugin(), Settings(_env_file=None)
    plugin.check(bare)
    assert not plugin.is_on(bare)
    with pytest.raises(WebhookRefusedError, match="WEBHOOK_SECRETS"):
        plugin.open_webhook(bare).read(*request())
    secret = f"whsec_{base64.b64encode(KEY).decode()}"
    ours = Settings(_env_file=None, webhook_secrets=f"{secret}, {secret}")
    assert plugin.is_on(ours)
    with pytest.raises(ConfigurationError, match="Secret 2 of WEBHOOK_SECRETS"):
        plugin.check(Settings(_env_file=None, webhook_secrets=f"{secret},short"))
    assert listed(None) == []
