"""Events that were sent to other programs, over HTTP."""

from datetime import UTC, datetime

import pytest

from photopipe_dagster.api.app import create_app
from photopipe_dagster.ledger.deliveries import Event, Outcome
from photopipe_dagster.ledger.tokens import Scope
from photopipe_dagster_tests.unit.api.conftest import ApiClient


@pytest.fixture
def dead(ledger):
    """A dead letter."""
    event = Event(7, None, "job.published", datetime(2026, 11, 1, tzinfo=UTC))
    ledger.deliveries.take_up([event], {7: "{}"}, ["3f2a9c1b7d10"])
    [delivery] = ledger.deliveries.take_due(9, ["3f2a9c1b7d10"])
    ledger.deliveries.tried(delivery.id, Outcome(status=500, says="It answered 500."))
    return delivery


def test_dead_letters_are_listed_and_sent_again(client, dead):
    [shown] = client.get("/api/deliveries?state=dead").json()["deliveries"]
    assert (shown["messageId"], shown["type"], shown["attempts"]) == ("msg_7", "job.published", 1)
    assert (shown["status"], shown["says"], shown["dueAt"]) == (500, "It answered 500.", None)
    answer = client.post(f"/api/deliveries/{dead.id}/retry")
    assert (answer.status_code, answer.json()["state"]) == (200, "pending")
    assert client.get("/api/deliveries?state=dead").json()["deliveries"] == []
    assert client.post(f"/api/deliveries/{dead.id}/retry").status_code == 409
    assert client.post("/api/deliveries/999/retry").status_code == 404


def test_a_test_is_sent_where_there_is_an_endpoint(client, settings, ledger, store):
    refused = client.post("/api/deliveries/test")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "no_endpoint")
    told = settings.model_copy(
        update={"event_webhook_urls": "https://hooks.example", "event_webhook_secrets": "x"}
    )
    client = ApiClient(create_app(told, ledger, store))
    assert client.post("/api/deliveries/test").status_code == 202
    assert [event.kind for event in ledger.deliveries.new_events(9)] == ["test"]


def test_sending_again_needs_the_scope_admin(client, ledger, dead):
    _, secret = ledger.tokens.create("Bob", [Scope.WRITE])
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.get("/api/deliveries", headers=headers).status_code == 200
    for path in (f"/api/deliveries/{dead.id}/retry", "/api/deliveries/test"):
        assert client.post(path, headers=headers).status_code == 403
