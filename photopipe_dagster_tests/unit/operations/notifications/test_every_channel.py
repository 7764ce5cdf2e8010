"""Each thing that needs people is told once by Slack, by mail and by webhook: real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email import message_from_bytes, policy
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster_shared.error import SerializableErrorInfo

from photopipe_dagster.core.errors import PhotoRejectedError, ProviderError
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.definitions import defs
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.defs.sensors.alerts import alerts_sensor
from photopipe_dagster.ledger import Ledger
from photopipe_dagster_tests.support.dagster_home import dagster_instance
from photopipe_dagster_tests.unit.ledger.conftest import photo
from photopipe_dagster_tests.unit.operations.notifications.test_channels import (
    Inbox,
    Listener,
    listening,
    mail_server,
)

NOON = datetime(2026, 11, 15, 12, tzinfo=UTC)
"""In the middle of a month, so that no budget ends while a test runs."""


BROKE = SerializableErrorInfo("It broke.", stack=[], cls_name=None)


@dataclass
class House:
    """A ledger and a Dagster, and everyone who is told of them."""

    instance: dg.DagsterInstance
    photopipe: PhotopipeResource
    slack: Listener
    webhook: Listener
    inbox: Inbox
    now: datetime = field(default=NOON)

    @property
    def ledger(self) -> Ledger:
        return self.photopipe.ledger

    def tick(self) -> None:
        context = dg.build_sensor_context(
            instance=self.instance, resources={"photopipe": self.photopipe}, definitions=defs
        )
        alerts_sensor.evaluate_tick(context)

    def told(self) -> dict[str, list[str]]:
        """The titles, by channel."""
        mails = [
            message_from_bytes(each.content, policy=policy.default) for each in self.inbox.mails
        ]
        return {
            "slack": [body["text"].split("*")[1] for body in self.slack.bodies],
            "webhook": [body["title"] for body in self.webhook.bodies],
            "mail": [mail["Subject"].removeprefix("[Photopipe] ") for mail in mails],
        }


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    inbox = Inbox()
    with (
        listening() as slack,
        listening() as webhook,
        mail_server(inbox) as port,
        dagster_instance() as instance,
    ):
        for name, value in {
            "DATA_DIR": str(tmp_path / "data"),
            "ALERT_SLACK_WEBHOOK_URL": slack.url,
            "ALERT_WEBHOOK_URL": webhook.url,
            "ALERT_EMAIL_TO": "shop@example.com",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(port),
            "SMTP_SECURITY": "none",
            "COST_WARNING_THRESHOLD_USD": "0.01",
        }.items():
            monkeypatch.setenv(name, value)
        house = House(instance, PhotopipeResource(), slack, webhook, inbox)
        monkeypatch.setattr(house.ledger.database, "now", lambda: house.now)
        yield house
        house.ledger.close()


def photos_failed(house: House) -> str:
    for number in range(3):
        house.ledger.intake.submit(photo(number), "webhook")
        house.ledger.transitions.fail(photo(number).job_id, PhotoRejectedError("Not a picture."))
    return "3 photos failed"


def money_was_spent(house: House) -> str:
    house.ledger.spending.reserve(
        "cut-out",
        key=photo(1),
        stage=Stage.MASK,
        provider="freepik",
        amount=Decimal("0.02"),
        owner="me",
    )
    return "The month's costs"


def provider_is_down(house: House) -> str:
    down = ProviderError("Freepik answered 503.")
    down.blamed_service = "freepik"
    for number in range(house.photopipe.settings.breaker_failures):
        house.ledger.intake.submit(photo(number), "webhook")
        house.ledger.transitions.fail(photo(number).job_id, down)
    return "freepik is down"


def photos_wait(house: House) -> str:
    house.ledger.intake.submit(photo(1), "webhook")
    house.now += timedelta(minutes=61)
    return "Photos that wait for more than 60 minutes: 1"


def sensor_ticked(house: House, minutes_ago: int, *statuses: TickStatus) -> None:
    location = RegisteredCodeLocationOrigin("photopipe")
    origin = RemoteRepositoryOrigin(location, "defs").get_instigator_origin("photo_dispatch")
    running = InstigatorStatus.DECLARED_IN_CODE
    state = InstigatorState(origin, InstigatorType.SENSOR, running, SensorInstigatorData())
    house.instance.add_instigator_state(state)
    for status in statuses:
        house.instance.create_tick(
            TickData(
                instigator_origin_id=state.instigator_origin_id,
                instigator_name="photo_dispatch",
                instigator_type=InstigatorType.SENSOR,
                status=status,
                timestamp=(house.now - timedelta(minutes=minutes_ago)).timestamp(),
                selector_id=state.selector_id,
                error=BROKE if status is TickStatus.FAILURE else None,
            )
        )


def sensor_is_stale(house: House) -> str:
    sensor_ticked(house, 11, TickStatus.SKIPPED)
    return "The sensor photo_dispatch is stale"


def sensor_fails(house: House) -> str:
    sensor_ticked(house, 1, *[TickStatus.FAILURE] * 3)
    return "The sensor photo_dispatch fails"


@pytest.mark.parametrize(
    "happens",
    [
        photos_failed,
        money_was_spent,
        provider_is_down,
        photos_wait,
        sensor_is_stale,
        sensor_fails,
    ],
)
def test_it_is_told_once_over_every_channel(house: House, happens: Callable[[House], str]):
    house.tick()
    assert house.told() == {"slack": [], "webhook": [], "mail": []}, "nothing has happened yet"
    title = happens(house)
    for _ in range(3):
        house.tick()
        house.now += timedelta(minutes=1)
    assert house.told() == {channel: [title] for channel in ("slack", "webhook", "mail")}


def test_a_sensor_that_ticks_again_or_failed_for_a_moment_is_no_news(house: House):
    sensor_ticked(house, 1, TickStatus.FAILURE, TickStatus.FAILURE, TickStatus.SKIPPED)
    house.tick()
    assert house.webhook.bodies == []
