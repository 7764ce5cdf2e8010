import gc
import logging
import logging.config
import re
import traceback

import openapi_spec_validator
import pytest
from fastapi import FastAPI
from sqlalchemy.exc import OperationalError
from starlette.requests import ClientDisconnect

from photopipe_dagster.api.app import api_from_environment, create_app
from photopipe_dagster.api.logs import keep_urls_out_of_logs
from photopipe_dagster.api.middleware import OutermostMiddleware
from photopipe_dagster.api.server import serve, server_config
from photopipe_dagster.core.settings import Settings
from photopipe_dagster_tests.unit.api.conftest import ApiClient


def test_every_answer_has_security_headers(client):
    for path in ("/api/jobs", "/nowhere", "/health/live"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'")


def test_the_documentation_needs_no_other_site(client):
    page = client.get("/docs")
    assert page.status_code == 200
    assert "//" not in page.text
    assert "script-src 'self';" in page.headers["content-security-policy"]
    for name in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert client.get(f"/{name}").status_code == 200, name
    assert client.get("/docs/another.js").status_code == 404
    assert client.get("/openapi.json").json()["openapi"].startswith("3.1")


def test_the_interface_is_described_with_examples(client):
    described = client.get("/openapi.json").json()
    openapi_spec_validator.validate(described)
    assert set(described["paths"]) >= {
        "/api/webhooks/3jms/images",
        "/api/jobs",
        "/api/jobs/stats",
        "/api/jobs/{job_id}",
        "/api/jobs/{job_id}/retry",
        "/api/jobs/{job_id}/presign",
        "/health",
        "/health/live",
        "/files/{key}",
        "/api/jobs/{job_id}/approve",
        "/api/jobs/{job_id}/reject",
        "/api/jobs/{job_id}/cancel",
        "/api/jobs/{job_id}/publish",
        "/api/jobs/{job_id}/unpublish",
        "/api/jobs/{job_id}/another-background",
        "/api/jobs/{job_id}/another-theme",
        "/api/photos",
        "/api/photos/estimate",
        "/api/photos/uploaded",
        "/api/uploads",
        "/api/batches",
        "/api/batches/estimate",
        "/api/batches/{batch_id}",
        "/api/batches/{batch_id}/cancel",
        "/api/costs",
        "/api/themes",
    }
    for name in ("JobView", "Stats", "SignedUrl", "WebhookAnswer", "Health"):
        assert "example" in described["components"]["schemas"][name]
    webhook = described["paths"]["/api/webhooks/3jms/images"]["post"]
    assert "example" in webhook["requestBody"]["content"]["application/json"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/api/webhooks/3jms/images", 405, "method_not_allowed"),
        ("DELETE", "/api/jobs", 405, "method_not_allowed"),
    ],
)
def test_other_paths_and_methods_are_refused_in_the_same_shape(client, method, path, status, code):
    response = client.request(method, path)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert response.json()["error"]["message"]
    if status == 405:
        assert response.headers["allow"]


def test_an_unknown_error_is_logged_and_not_told(settings, ledger, store, caplog, monkeypatch):
    secret = "hush"

    def fail():
        raise RuntimeError(secret)

    monkeypatch.setattr(ledger.jobs, "stats", fail)
    client = ApiClient(create_app(settings, ledger, store))
    response = client.get("/api/jobs/stats?token=hush")
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "internal_error"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "RuntimeError" in caplog.text
    assert "in fail" in caplog.text
    assert "hush" not in response.text + caplog.text


def test_a_database_that_is_away_is_a_503_to_be_tried_again(settings, ledger, store, monkeypatch):
    def fail():
        raise OperationalError("SELECT 'hush'", {}, Exception("hush"))

    monkeypatch.setattr(ledger.jobs, "stats", fail)
    client = ApiClient(create_app(settings, ledger, store))
    response = client.get("/api/jobs/stats")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert response.json()["error"]["code"] == "database_unavailable"
    assert "hush" not in response.text


async def test_an_answer_that_breaks_off_is_cut_and_tells_nothing(caplog):
    async def broken(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError(secret)

    secret = "hush"
    sent = []

    async def send(message):
        sent.append(message["type"])

    scope = {"type": "http", "method": "GET", "path": "/x"}
    with pytest.raises(RuntimeError) as caught:
        await OutermostMiddleware(broken)(scope, None, send)
    assert sent == ["http.response.start"]
    assert "hush" not in "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "ValueError" in caplog.text


async def test_a_client_that_leaves_is_no_error(caplog):
    async def left(*_):
        raise ClientDisconnect

    await OutermostMiddleware(left)({"type": "http", "method": "GET", "path": "/x"}, None, None)
    assert not caplog.text


def test_the_application_can_be_made_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    app = api_from_environment()
    client = ApiClient(app)
    assert client.get("/health").status_code == 200
    app.state.photopipe.ledger.close()


# --- logs --------------------------------------------------------------------------------


@pytest.fixture
def _logging_as_before():
    names = ("", "uvicorn", "uvicorn.access", "httpx", "httpcore", "photopipe_dagster")
    loggers = [logging.getLogger(name) for name in names]
    kept = [
        (each, each.level, each.handlers[:], each.filters[:], each.propagate) for each in loggers
    ]
    yield
    for each, level, handlers, filters, propagate in kept:
        each.setLevel(level)
        each.handlers[:], each.filters[:], each.propagate = handlers, filters, propagate


ACCESS = '%s - "%s %s HTTP/%s" %d'
SIGNED = "/files/masks/A/1.png?method=GET&expires=1&signature=hush"


@pytest.mark.usefixtures("_logging_as_before")
def test_logs_are_safe_however_the_server_is_started(caplog):
    keep_urls_out_of_logs()
    keep_urls_out_of_logs()
    access = logging.getLogger("uvicorn.access")
    assert len(access.filters) == 1
    access.propagate = True
    access.setLevel(logging.INFO)
    with caplog.at_level(logging.INFO):
        access.info(ACCESS, "1.2.3.4:5", "GET", SIGNED, "1.1", 200)
        access.info("a line of another form: %s", "kept")
        logging.getLogger("httpx").info("HTTP Request: GET %s", SIGNED)
    assert "/files/masks/A/1.png HTTP" in caplog.text
    assert "kept" in caplog.text
    assert "hush" not in caplog.text


@pytest.fixture
def _collector_as_before():
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("_logging_as_before", "_collector_as_before")
def test_the_server_listens_where_the_settings_say(tmp_path, monkeypatch):
    settings = Settings(_env_file=None, data_dir=tmp_path, host="127.0.0.1", port=4321)
    config = server_config(FastAPI(), settings)
    assert (config.host, config.port, config.server_header) == ("127.0.0.1", 4321, False)

    ran = []
    monkeypatch.setattr("uvicorn.Server.run", lambda self: ran.append(self.config.app))
    serve(settings)
    client = ApiClient(ran[0])
    assert client.get("/health/live").status_code == 200


@pytest.mark.usefixtures("_logging_as_before", "_collector_as_before")
def test_the_collector_of_garbage_leaves_alone_what_stays(tmp_path, monkeypatch):
    before = gc.get_threshold()[0]
    frozen = []
    monkeypatch.setattr("uvicorn.Server.run", lambda _: frozen.append(gc.get_freeze_count()))
    serve(Settings(_env_file=None, data_dir=tmp_path))
    assert frozen[0] > 0
    assert gc.get_threshold()[0] > before
