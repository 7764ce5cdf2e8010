"""Finished pictures as one ZIP, from the gallery and the command."""

import io
import zipfile

import pytest
from typer.testing import CliRunner

from photopipe_dagster.cli import app as cli
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster_tests.unit.api.conftest import client, ledger, settings, store

__all__ = ["client", "ledger", "settings", "store"]  # fixtures


@pytest.fixture
def keys(ledger, store):
    made = []
    for name in ("A/B default", "A_B default", "A_B luxury", "NEW default"):
        sku, theme = name.split()
        key = PhotoKey(sku, "a" * 64, theme)
        made.append(key)
        if sku == "NEW":
            ledger.intake.submit(key, "submit")
            continue
        ledger.transitions.begin(key, "run", again=True)
        place = key.object_key(Stage.COMPOSITE)
        store.put(place, name.encode(), content_type="image/jpeg")
        stored = (Stage.COMPOSITE, place)
        ledger.transitions.advance(key.job_id, JobStatus.COMPOSITING, stored=stored)
        ledger.transitions.advance(key.job_id, JobStatus.DONE, published=("p", "m"))
    return made


def contents(data):
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        assert packed.testzip() is None
        return {name: packed.read(name).decode() for name in packed.namelist()}


def test_the_gallery_gives_what_it_shows(client, keys):
    assert 'href="/gallery/pictures.zip?sku=A_B&amp;theme="' in client.get("/gallery?sku=A_B").text
    whole = client.get("/gallery/pictures.zip")
    assert whole.headers["content-type"] == "application/zip"
    assert contents(whole.content) == {
        f"A_B/{key.theme}-{key.job_id}.jpg": f"{key.sku} {key.theme}" for key in keys[:3]
    }
    part = client.get("/gallery/pictures.zip?sku=A_B&theme=luxury").content
    assert list(contents(part).values()) == ["A_B luxury"]
    assert contents(client.get("/gallery/pictures.zip?sku=none").content) == {}


def test_the_command_writes_a_selection_or_nothing(tmp_path, settings, ledger, keys, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(settings.data_dir))
    file = tmp_path / "out.zip"

    def run(*arguments):
        return CliRunner().invoke(cli, ["download", str(file), *arguments])

    assert "3 pictures" in run().stdout
    assert "1 picture:" in run("--sku", "A/B").stdout
    assert list(contents(file.read_bytes()).values()) == ["A/B default"]
    assert "No finished picture" in str(run("--theme", "kitchen").exception)
    assert "no batch none" in str(run("--batch", "none").exception)
    batch = ledger.batches.start([keys[2]], what="x", by="ada", estimate=0)
    assert "No finished picture" in str(run("--batch", batch.id).exception)  # it waits
    assert list(contents(file.read_bytes()).values()) == ["A/B default"]
