"""Each thing that needs people is told once by Slack, by mail and by webhook: real servers."""

from __future__ import annotations

import asyncio
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

from photopipe_dagster.core.errors import (
    BudgetExceededError,
    PhotoRejectedError,
    ProviderError,
    TargetError,
)
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.definitions import defs
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.defs.sensors.alerts import alerts_sensor
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.breakers import Admission
from photopipe_dagster.operations.notifications.channels import DeliveryError
from photopipe_dagster.operations.notifications.message import Message
from photopipe_dagster.operations.notifications.notifier import Notifier
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


class Refusing:
    """A channel that takes nothing."""

    name = "refusing"

    async def deliver(self, message: Message) -> None:
        raise DeliveryError("refused")


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
    return "Freepik is down"


def budget_is_spent(house: House) -> str:
    for number in range(2):
        house.ledger.intake.submit(photo(number), "webhook")
        house.ledger.transitions.fail(photo(number).job_id, BudgetExceededError("Spent."))
    return "2 photos wait for the budget"


def picture_waits_for_review(house: House) -> str:
    house.ledger.transitions.begin(photo(1), "run", again=False)
    house.ledger.transitions.hold(photo(1).job_id, ["The halo is wide."], "d" * 64)
    return "1 picture to review"


def photos_wait(house: House) -> str:
    house.ledger.intake.submit(photo(1), "webhook")
    house.now += timedelta(minutes=61)
    return "Photos that wait for more than 60 minutes: 1"


def sensor_ticked(house: House, minutes_ago: int, *statuses: TickStatus) -> None:
    location = RegisteredCodeLocationOrigin("photopipe")
    origin = RemoteRepositoryOrigin(location, "defs").get_instigator_origin("photo_dispatch")
    running = InstigatorStatus.DECLARED_IN_CODE
    state = InstigatorState(origin, InstigatorType.SENSOR, running, SensorInstigatorData())
    if not house.instance.all_instigator_state():
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
        budget_is_spent,
        picture_waits_for_review,
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


def service_works_again(house: House) -> None:
    house.ledger.breakers.succeeded("freepik", Admission(house.now, probe=True))


def budget_is_there_again(house: House) -> None:
    for number in range(2):
        house.ledger.transitions.begin(photo(number), "run", again=False)


def sensor_works_again(house: House) -> None:
    sensor_ticked(house, 0, TickStatus.SKIPPED)


@pytest.mark.parametrize(
    ("happens", "ends", "over"),
    [
        (provider_is_down, service_works_again, "Freepik works again"),
        (budget_is_spent, budget_is_there_again, "No photo waits for the budget any more"),
        (sensor_fails, sensor_works_again, "The sensor photo_dispatch works again"),
    ],
)
def test_that_it_is_over_is_told_once_and_what_comes_back_is_news(
    house: House, happens: Callable[[House], str], ends: Callable[[House], None], over: str
):
    title = happens(house)
    house.tick()
    ends(house)
    house.tick()
    house.tick()
    assert house.told() == {channel: [title, over] for channel in ("slack", "webhook", "mail")}
    house.now += timedelta(minutes=2)
    assert happens(house) == title
    house.tick()
    assert house.told()["webhook"] == [title, over, title]


def test_that_it_is_over_is_told_later_if_no_channel_takes_it(house: House):
    provider_is_down(house)
    house.tick()
    service_works_again(house)
    told = house.told()["webhook"]
    channels = Notifier(house.ledger, [Refusing()], timedelta(hours=4))
    with pytest.raises(DeliveryError):
        asyncio.run(channels.tell_over(()))
    house.tick()
    assert house.told()["webhook"] == [*told, "Freepik works again"]


@pytest.mark.parametrize(
    ("happens", "path"),
    [
        (photos_failed, "/jobs?status=FAILED"),
        (money_was_spent, "/"),
        (provider_is_down, "/"),
        (budget_is_spent, "/"),
        (picture_waits_for_review, "/review"),
        (sensor_fails, "/automation"),
    ],
)
def test_every_channel_links_to_the_page(house: House, happens: Callable[[House], str], path: str):
    happens(house)
    house.tick()
    settings = house.photopipe.settings
    base = settings.dagster_ui_url.rstrip("/") if path == "/automation" else settings.base_url
    assert house.webhook.bodies[0]["url"] == base + path
    assert f"<{base}{path}|" in house.slack.bodies[0]["text"]
    (mail,) = house.inbox.mails
    text = message_from_bytes(mail.content, policy=policy.default).get_content()
    assert text.rstrip().endswith(base + path)


def test_a_failed_photo_is_linked_and_says_what_people_press(house: House):
    house.ledger.intake.submit(photo(1), "webhook")
    refused = TargetError("Create it in the shop, then `photopipe retry JOB`.")
    house.ledger.transitions.fail(photo(1).job_id, refused)
    house.tick()
    text = house.webhook.bodies[0]["text"]
    assert f"{house.photopipe.settings.base_url}/jobs/{photo(1).job_id}" in text
    assert "then “Retry”" in text


def test_yesterday_is_summarized_once_in_the_morning(house: House):
    photos_failed(house)
    house.now += timedelta(hours=12, minutes=1)
    house.tick()
    house.webhook.bodies.clear()
    house.tick()
    assert house.webhook.bodies == [], "it is night"
    house.now += timedelta(hours=6)
    house.tick()
    house.tick()
    (body,) = [each for each in house.webhook.bodies if each["topic"] == "summary"]
    assert body["title"] == "Photopipe on 2026-11-15"
    assert "0 published, 3 failed, $0.00 spent" in body["text"]
    house.webhook.bodies.clear()
    house.now += timedelta(days=1)
    house.tick()
    assert house.webhook.bodies == [], "nothing happened on that day"


def test_a_sensor_that_ticks_again_or_failed_for_a_moment_is_no_news(house: House):
    sensor_ticked(house, 1, TickStatus.FAILURE, TickStatus.FAILURE, TickStatus.SKIPPED)
    house.tick()
    assert house.webhook.bodies == []
