import asyncio
import time

import httpx
import pytest
from dagster._daemon.types import DaemonHeartbeat
from sqlalchemy import text

from photopipe_dagster.api.app import create_app
from photopipe_dagster.api.health import SENSOR_DAEMON, Probe, Probes
from photopipe_dagster.core.errors import StorageError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.defs.lineage import Lineage
from photopipe_dagster_tests.support.dagster_home import dagster_instance
from photopipe_dagster_tests.unit.api.conftest import ApiClient


def test_all_is_well(client):
    response = client.get("/health")
    assert response.status_code == 200
    assert response.json() == {
        "status": "healthy",
        "uptime": 0,
        "database": "connected",
        "s3": "connected",
        "freepik": "not configured",
        "shopify": "not configured",
        "targets": {"shopify": "not configured"},
        "daemon": "not configured",
        "providers": {"local": "connected", "white": "connected"},
    }


def test_being_alive_asks_nobody(client, ledger):
    ledger.database.close()
    response = client.get("/health/live")
    assert (response.status_code, response.json()) == (200, {"status": "alive"})


def test_a_store_that_fails_is_named(settings, ledger, caplog):
    class Broken:
        def check(self):
            raise StorageError("secret detail")

    client = ApiClient(create_app(settings, ledger, Broken()))
    response = client.get("/health")
    assert response.status_code == 503
    assert response.json()["status"] == "degraded"
    assert response.json()["s3"] == "unreachable"
    assert response.json()["database"] == "connected"
    assert "the object store is unreachable (StorageError)" in caplog.text
    assert "secret detail" not in response.text + caplog.text


def test_a_database_that_fails_is_named(settings, ledger, store, monkeypatch):
    def fail(_):
        ledger.database.all(text("SELECT * FROM nowhere"))

    client = ApiClient(create_app(settings, ledger, store))
    monkeypatch.setattr(ledger.database, "one", fail)
    response = client.get("/health")
    assert response.status_code == 503
    assert response.json()["database"] == "unreachable"


@pytest.mark.parametrize(
    ("answer", "expected", "status"),
    [
        (httpx.Response(200, json={"data": []}), "connected", 200),
        (httpx.Response(429), "connected", 200),
        (httpx.Response(401), "unauthorized", 503),
        (httpx.Response(403), "unauthorized", 503),
        (httpx.Response(500), "unreachable", 503),
        (httpx.ConnectError("no"), "unreachable", 503),
    ],
)
def test_freepik_is_asked_with_the_key_and_not_too_often(
    tmp_path, ledger, store, answer, expected, status
):
    asked = []

    def freepik(request):
        asked.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    settings = Settings(
        _env_file=None,
        data_dir=tmp_path,
        background_provider="freepik",
        freepik_api_url="https://freepik.example/",
        freepik_api_key="key-of-a-test",
    )
    app = create_app(settings, ledger, store)
    app.state.probes = Probes(
        settings, ledger, store, Lineage(lambda: None), transport=httpx.MockTransport(freepik)
    )
    client = ApiClient(app)
    responses = [client.get("/health") for _ in range(3)]
    assert {response.status_code for response in responses} == {status}
    assert {response.json()["freepik"] for response in responses} == {expected}
    assert {response.json()["providers"]["freepik"] for response in responses} == {expected}
    (request,) = asked
    assert request.url == "https://freepik.example/v1/ai/mystic"
    assert request.headers["x-magnific-api-key"] == "key-of-a-test"


async def test_a_probe_is_asked_by_one_at_a_time_and_remembers():
    now = 100.0
    asked = []

    async def ask():
        asked.append(now)
        await asyncio.sleep(0)
        return "connected"

    probe = Probe("it", ask, 10, clock=lambda: now)
    assert set(await asyncio.gather(*(probe.status() for _ in range(20)))) == {"connected"}
    now = 109.0
    await probe.status()
    assert asked == [100.0]
    now = 110.0
    await probe.status()
    assert asked == [100.0, 110.0]


async def test_a_part_that_does_not_answer_is_unreachable(monkeypatch):
    monkeypatch.setattr("photopipe_dagster.api.health.PROBE_SECONDS", 0.01)

    async def ask():
        await asyncio.Event().wait()

    assert await Probe("it", ask).status() == "unreachable"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (["read_products", "write_products", "write_files"], "connected"),
        (["read_products"], "unauthorized"),
        (httpx.Response(401), "unauthorized"),
        (httpx.ConnectError("no"), "unreachable"),
    ],
)
def test_shopify_is_asked_what_the_app_may_do(
    tmp_path, ledger, store, monkeypatch, answer, expected
):
    monkeypatch.setattr("photopipe_dagster.api.health.PROBE_SECONDS", 1)

    def shopify(_):
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        scopes = [{"handle": scope} for scope in answer]
        installation = {"currentAppInstallation": {"accessScopes": scopes}}
        return httpx.Response(200, json={"data": installation})

    settings = Settings(
        _env_file=None,
        data_dir=tmp_path,
        shopify_store="shop.example",
        shopify_access_token="token-of-a-test",
    )
    app = create_app(settings, ledger, store)
    app.state.probes = Probes(
        settings, ledger, store, Lineage(lambda: None), transport=httpx.MockTransport(shopify)
    )
    response = ApiClient(app).get("/health")
    assert response.json()["shopify"] == response.json()["targets"]["shopify"] == expected
    assert response.status_code == (200 if expected == "connected" else 503)


def test_a_daemon_without_a_sign_of_life_is_named(settings, ledger, store):
    with dagster_instance() as instance:
        app = create_app(settings, ledger, store, lineage=Lineage(lambda: instance))
        response = ApiClient(app).get("/health")
        assert (response.status_code, response.json()["daemon"]) == (503, "unreachable")
        instance.add_daemon_heartbeat(
            DaemonHeartbeat(
                timestamp=time.time(), daemon_type=SENSOR_DAEMON, daemon_id="1", errors=[]
            )
        )
        app = create_app(settings, ledger, store, lineage=Lineage(lambda: instance))
        response = ApiClient(app).get("/health")
        assert (response.status_code, response.json()["daemon"]) == (200, "connected")
