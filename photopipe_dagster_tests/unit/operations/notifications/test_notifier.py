from datetime import timedelta

import pytest

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.operations.notifications.channels import DeliveryError
from photopipe_dagster.operations.notifications.message import Message
from photopipe_dagster.operations.notifications.notifier import Notifier, open_notifier
from photopipe_dagster_tests.unit.ledger.conftest import Clock

MESSAGE = Message("queue_age", "5 photos wait", "Look.")


class Recorder:
    """A channel that keeps what it delivers, or refuses."""

    name = "recorder"

    def __init__(self, refuses: bool = False) -> None:
        self.refuses = refuses
        self.delivered: list[Message] = []

    async def deliver(self, message: Message) -> None:
        if self.refuses:
            raise DeliveryError("refused")
        self.delivered.append(message)


async def test_a_topic_is_told_once_and_again_when_its_time_has_come(ledger: Ledger, clock: Clock):
    channel = Recorder()
    tells = Notifier(ledger, [channel], timedelta(hours=4))
    again = Notifier(ledger, [channel], timedelta(hours=4))  # another process
    assert await tells.notify(MESSAGE)
    assert not await again.notify(MESSAGE)
    clock.move(4 * 3600)
    assert await again.notify(MESSAGE)
    assert channel.delivered == [MESSAGE, MESSAGE]


async def test_other_topics_are_told_meanwhile(ledger: Ledger):
    channel = Recorder()
    tells = Notifier(ledger, [channel], timedelta(hours=4))
    await tells.notify(MESSAGE)
    assert await tells.notify(Message("sensor_photo_dispatch", "It fails", "Look."))


async def test_what_nobody_took_is_due_again(ledger: Ledger):
    channel = Recorder(refuses=True)
    tells = Notifier(ledger, [channel], timedelta(hours=4))
    with pytest.raises(DeliveryError):
        await tells.notify(MESSAGE)
    channel.refuses = False
    assert await tells.notify(MESSAGE)
    assert channel.delivered == [MESSAGE]


async def test_one_channel_that_takes_it_is_enough(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
):
    good = Recorder()
    tells = Notifier(ledger, [Recorder(refuses=True), good], timedelta(hours=4))
    assert await tells.notify(MESSAGE)
    assert good.delivered == [MESSAGE]
    assert "refused" in caplog.text


async def test_without_channels_it_is_said_in_the_log(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
):
    assert await Notifier(ledger, [], timedelta(hours=4)).notify(MESSAGE)
    assert "5 photos wait: Look." in caplog.text


def test_the_channels_are_those_that_the_settings_name(ledger: Ledger):
    named = {
        "alert_slack_webhook_url": "https://hooks.example.com/T0/B0/x",
        "alert_webhook_url": "https://example.com/alerts",
        "alert_email_to": "shop@example.com, boss@example.com",
        "smtp_host": "mail.example.com",
    }
    assert open_notifier(Settings(_env_file=None), ledger).channels == ()
    settings = Settings(_env_file=None, **named)
    names = [channel.name for channel in open_notifier(settings, ledger).channels]
    assert names == ["Slack", "webhook", "e-mail"]
    assert settings.alert_email_to == ("shop@example.com", "boss@example.com")


def test_mail_needs_a_server():
    with pytest.raises(ValueError, match="SMTP_HOST must be set"):
        Settings(_env_file=None, alert_email_to="shop@example.com")
