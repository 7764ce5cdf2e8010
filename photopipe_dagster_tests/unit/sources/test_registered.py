"""What a source brings along appears everywhere, and nothing of it is named anywhere else."""

from __future__ import annotations

import hashlib
import json

import dagster as dg
import pytest

from photopipe_dagster.api.app import create_app
from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.definitions import defs
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.defs.sensors import alerts
from photopipe_dagster.defs.sensors.sources import source_sensors
from photopipe_dagster.operations.doctor import examine
from photopipe_dagster.runtime.configuration import check_configuration, variables
from photopipe_dagster_tests.support.dagster_home import dagster_instance
from photopipe_dagster_tests.support.world import photo_of_a_mug
from photopipe_dagster_tests.unit.api.conftest import ApiClient

MUG = photo_of_a_mug(1)


def tick(plugin, photopipe, instance, cursor=None):
    """One look of the source's sensor: what it says, and its cursor afterwards."""
    (sensor,) = (each for each in source_sensors() if each.name == plugin.polling.sensor)
    context = dg.build_sensor_context(
        instance=instance, resources={"photopipe": photopipe}, cursor=cursor
    )
    (skip,) = list(sensor(context))
    return skip.skip_message, context.cursor


@pytest.fixture
def photopipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    return PhotopipeResource()


def test_its_sensor_polls_it_when_it_is_time(photopipe, plugin, shelf):
    shelf.put("shelf:1", "MUG #1", MUG)
    with dagster_instance() as instance:
        said, cursor = tick(plugin, photopipe, instance)
        assert said.startswith("1 photos listed by The shelf: 1 new, 0 known, 0 refused")
        said, again = tick(plugin, photopipe, instance, cursor)
        assert said.startswith("Next poll in ")
        assert again == cursor
    assert shelf.asked == [None]
    assert photopipe.ledger.jobs.stats().total == 1
    assert (shelf.opened, shelf.closed) == (1, 1)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SHELF_OPEN", "no", "SHELF_OPEN is off."),
        ("SOURCES", "threejms", "SOURCES does not name shelf."),
    ],
)
def test_its_sensor_says_why_it_rests(photopipe, plugin, shelf, monkeypatch, variable, value, said):
    monkeypatch.setenv(variable, value)
    with dagster_instance() as instance:
        assert tick(plugin, photopipe, instance) == (said, None)
    assert shelf.opened == 0


def test_its_sensor_is_watched(plugin):
    assert alerts.watched() == (
        "photo_dispatch",
        "bucket_poll",
        "folder_poll",
        "shelf_poll",
        "threejms_poll",
    )
    assert {sensor.name for sensor in source_sensors()} == {
        "bucket_poll",
        "folder_poll",
        "shelf_poll",
        "threejms_poll",
    }


def test_dagster_has_a_sensor_of_each_source_that_is_installed():
    assert {sensor.name for sensor in defs.sensors} == {
        "photo_dispatch",
        "bucket_poll",
        "folder_poll",
        "threejms_poll",
        "alerts",
        "events",
        "scenes",
    }


@pytest.fixture
def client(settings, ledger, store, plugin):
    return ApiClient(create_app(settings, ledger, store))


def post(client, **announcement):
    headers = {"X-Shelf": "mine"}
    return client.post(
        "/api/webhooks/shelf", content=json.dumps(announcement).encode(), headers=headers
    )


def test_its_webhook_makes_a_job_also_without_a_digest(client, shelf, ledger, store):
    shelf.put("shelf:1", "MUG #1", MUG)
    first = post(client, sku="MUG #1", ref="shelf:1")
    assert (first.status_code, first.json()["status"]) == (201, "created")
    job = ledger.jobs.get(first.json()["jobId"])
    assert job.key.sha256 == hashlib.sha256(MUG).hexdigest()
    assert job.source == "shelf-push"
    assert store.get(job.key.object_key(Stage.ORIGINAL)).data == MUG
    again = post(client, sku="MUG #1", ref="shelf:1", sha256=job.key.sha256)
    assert (again.status_code, again.json()["jobId"]) == (200, job.id)
    assert shelf.fetched == ["shelf:1"]


def test_its_webhook_answers_with_its_own_refusals(client, shelf):
    refused = client.post("/api/webhooks/shelf", content=b"{}")
    assert refused.status_code == 403
    assert refused.json()["error"] == {"code": "not_mine", "message": "Send X-Shelf: mine."}
    shelf.away = {"shelf:1"}
    away = post(client, sku="A", ref="shelf:1")
    assert (away.status_code, away.headers["retry-after"]) == (503, "5")
    assert away.json()["error"]["message"] == "The shelf does not answer."
    assert post(client, sku="A", ref="shelf:none").status_code == 422


def test_a_webhook_that_verifies_nobody_says_so(client, shelf):
    shelf.verifies = False
    answer = post(client, sku="A", ref="shelf:1", sha256="a" * 64)
    assert "not verified" in answer.headers["X-Photopipe-Warning"]


def test_sources_that_are_not_named_have_no_webhook(settings, ledger, store, plugin):
    ours = settings.model_copy(update={"sources": ("shelf",)})
    client = ApiClient(create_app(ours, ledger, store))
    assert client.post("/api/webhooks/3jms/images", content=b"{}").status_code == 404
    assert post(client, sku="A", ref="shelf:1", sha256="a" * 64).status_code == 201


def test_the_pages_and_the_doctor_name_it(client, settings, ledger, shelf):
    for page in ("/", "/jobs"):
        assert "Photos come in from The shelf and 3JMS automatically." in client.get(page).text
    found = {finding.what: (finding.ok, finding.says) for finding in examine(settings)}
    assert found["The shelf webhook"] == (True, "signed")
    assert found["The shelf polling"] == (True, "every 60 s, answers")
    assert found["3JMS webhook"][1].startswith("NOT signed")
    assert found["3JMS polling"][1].startswith("off: THREEJMS_API_URL is not set")
    assert {"SHELF_SECONDS", "SHELF_OPEN"} <= {variable.name for variable in variables()}


def test_production_without_3jms_needs_no_secret_of_it(tmp_path, plugin, monkeypatch):
    def production(**values):
        return Settings(_env_file=None, PHOTOPIPE_ENV="production", data_dir=tmp_path, **values)

    check_configuration(production(sources="shelf"))
    for sources in ("", "threejms", "shelf, threejms"):
        with pytest.raises(ConfigurationError, match="THREEJMS_WEBHOOK_SECRET"):
            check_configuration(production(sources=sources))
    with pytest.raises(
        ConfigurationError, match=r"'shop' in SOURCES. Available: .*folder, shelf, threejms"
    ):
        check_configuration(production(sources="shop"))
