from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import insert

from photopipe_dagster.core.errors import NetworkError, PhotoRejectedError, ProviderError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.definitions import defs
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.defs.sensors.alerts import alerts_sensor
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.money.spending import SpendState
from photopipe_dagster.ledger.tables import breakers
from photopipe_dagster.operations.notifications.alerts import digested, failures, standing
from photopipe_dagster.runtime.services import shared_ledger
from photopipe_dagster_tests.support.dagster_home import dagster_instance
from photopipe_dagster_tests.unit.ledger.conftest import Clock, photo
from photopipe_dagster_tests.unit.operations.notifications.test_channels import listening

HOUR = timedelta(hours=1)


def fail(ledger: Ledger, key: PhotoKey, error: Exception) -> None:
    ledger.intake.submit(key, "webhook")
    ledger.transitions.begin(key, "run", again=True)
    ledger.transitions.fail(key.job_id, error)


def test_a_hundred_failures_are_one_message(ledger: Ledger):
    for number in range(100):
        fail(ledger, photo(number), PhotoRejectedError("Not a picture."))
    fail(ledger, photo(200), ProviderError("Refused."))
    fail(ledger, photo(201), NetworkError("Will be tried again."))
    digest = failures(ledger, HOUR)
    assert digest is not None
    assert digest.message.title == "101 photos failed"
    text = digest.message.text
    assert "100 × VALIDATION_ERROR" in text
    assert "1 × API_ERROR" in text
    assert text.count("Not a picture.") == 3
    assert "Will be tried again." not in text


def test_what_a_person_decided_is_told_as_no_failure(ledger: Ledger):
    ledger.intake.submit(photo(1), "webhook")
    ledger.transitions.cancel(photo(1).job_id, by="ann")
    ledger.transitions.begin(photo(2), "run", again=True)
    ledger.transitions.hold(photo(2).job_id, ["look"], "d" * 64)
    ledger.reviews.reject(photo(2).job_id, by="ann", reason="dull")
    assert failures(ledger, HOUR) is None


def test_a_digest_begins_where_the_last_one_ended(ledger: Ledger, clock: Clock):
    fail(ledger, photo(1), PhotoRejectedError("First."))
    digest = failures(ledger, HOUR)
    assert digest is not None
    digested(ledger, digest)
    clock.move(60)
    fail(ledger, photo(2), PhotoRejectedError("Second."))
    assert failures(ledger, HOUR) is None, "it is not time yet"
    clock.move(3600)
    digest = failures(ledger, HOUR)
    assert digest is not None
    assert digest.message.title == "1 photo failed"
    assert "Second." in digest.message.text
    digested(ledger, digest)
    clock.move(3601)
    assert failures(ledger, HOUR) is None, "nothing is new"


def test_photos_that_wait_too_long_are_told_of(ledger: Ledger, clock: Clock):
    settings = Settings(_env_file=None, alert_queue_minutes=30)
    ledger.intake.submit(photo(1), "webhook")
    with dagster_instance() as instance:
        assert list(standing(ledger, settings, instance, ())) == []
        clock.move(31 * 60)
        (message,) = standing(ledger, settings, instance, ())
    assert message.title == "Photos that wait for more than 30 minutes: 1"
    assert "photo_dispatch" in message.text


def test_the_sensor_tells_once_what_is_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with listening() as hook, dagster_instance() as instance:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
        monkeypatch.setenv("ALERT_WEBHOOK_URL", hook.url)
        monkeypatch.setenv("COST_WARNING_THRESHOLD_USD", "0.01")
        resource = PhotopipeResource()
        ledger = resource.ledger
        fail(ledger, photo(1), PhotoRejectedError("Not a picture."))
        spend = ledger.spending.reserve(
            "cut-out",
            key=photo(1),
            stage=Stage.MASK,
            provider="freepik",
            amount=Decimal("0.02"),
            owner="me",
        )
        ledger.spending.submitted(spend.id, "task")

        def tick() -> str:
            context = dg.build_sensor_context(
                instance=instance, resources={"photopipe": resource}, definitions=defs
            )
            return alerts_sensor.evaluate_tick(context).skip_message

        assert tick() == "Sent: 1 photo failed, The month's costs."
        assert tick() == "No alerts."
        assert [body["topic"] for body in hook.bodies] == ["failures", "cost_warning"]
        shared_ledger(resource.settings).close()


def test_what_no_channel_took_is_told_at_the_next_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with listening(410, 200) as hook, dagster_instance() as instance:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
        monkeypatch.setenv("ALERT_WEBHOOK_URL", hook.url)
        resource = PhotopipeResource()
        fail(resource.ledger, photo(1), PhotoRejectedError("Not a picture."))
        for expected in ("fails", "tells"):
            context = dg.build_sensor_context(
                instance=instance, resources={"photopipe": resource}, definitions=defs
            )
            if expected == "fails":
                with pytest.raises(Exception, match="ALERT_WEBHOOK_URL answered 410"):
                    alerts_sensor.evaluate_tick(context)
            else:
                alerts_sensor.evaluate_tick(context)
        assert len(hook.bodies) == 2
        shared_ledger(resource.settings).close()


def test_each_level_of_costs_is_told_once_a_day(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with listening(200, 410) as hook, dagster_instance() as instance:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
        monkeypatch.setenv("ALERT_WEBHOOK_URL", hook.url)
        monkeypatch.setenv("COST_WARNING_THRESHOLD_USD", "1.00")
        monkeypatch.setenv("COST_ALERT_THRESHOLD_USD", "2.00")
        resource = PhotopipeResource()
        ledger = resource.ledger
        monkeypatch.setattr(ledger.database, "now", clock)

        def spend(spends: str) -> None:
            ledger.intake.submit(photo(1), "webhook")
            spent = ledger.spending.reserve(
                f"cut-out {spends}",
                key=photo(1),
                stage=Stage.MASK,
                provider="freepik",
                amount=Decimal(spends),
                owner="me",
            )
            ledger.spending.settle(spent.id, SpendState.CHARGED, owner="me")

        def told() -> list[tuple[str, str]]:
            """What two ticks, of a process each, tell."""
            hook.bodies.clear()
            for _ in range(2):
                again = PhotopipeResource()
                context = dg.build_sensor_context(
                    instance=instance, resources={"photopipe": again}, definitions=defs
                )
                alerts_sensor.evaluate_tick(context)
            topics = [(body["topic"], body["level"]) for body in hook.bodies]
            return [topic for topic in topics if topic[0] != "queue_age"]

        assert told() == []
        spend("0.99")
        assert told() == []
        spend("0.01")
        assert told() == [("cost_warning", "warning")]
        spend("1.25")
        with pytest.raises(Exception, match="ALERT_WEBHOOK_URL answered 410"):
            told()
        assert told() == [("cost_alert", "alert")], "what could not be sent is due again"
        assert "2.25 USD" in hook.bodies[0]["text"]
        clock.move(timedelta(hours=11, minutes=59).total_seconds())
        assert told() == []
        clock.move(61)
        assert told() == [("cost_alert", "alert")], "on the next day once more"
        clock.move(timedelta(days=30).total_seconds())
        assert told() == [], "in another month nothing is spent yet"
        shared_ledger(resource.settings).close()


def test_a_service_that_is_down_is_told_of_and_its_photos_are_not_late(
    ledger: Ledger, clock: Clock
):
    settings = Settings(_env_file=None, alert_queue_minutes=30)
    ledger.intake.submit(photo(1), "webhook")
    with ledger.database.write() as connection:
        connection.execute(
            insert(breakers).values(
                name="shopify",
                failures=5,
                failing_since=clock(),
                opened_at=clock(),
                retry_at=clock(),
                reason="Shopify answered 503.",
                updated_at=clock(),
            )
        )
    clock.move(3600)
    with dagster_instance() as instance:
        (message,) = standing(ledger, settings, instance, ())
    assert message.topic == "down_shopify"
    assert "Shopify answered 503." in message.text
