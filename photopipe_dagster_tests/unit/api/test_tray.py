"""The tray's page and command."""

import json

import pytest
from typer.testing import CliRunner

from photopipe_dagster.cli import app as cli
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.source_files import FileState, SourceFile
from photopipe_dagster_tests.support.world import photo_of_a_mug
from photopipe_dagster_tests.unit.api.test_pages import csrf, parsed


@pytest.fixture
def photos_folder(tmp_path):
    return tmp_path / "photos"


@pytest.fixture
def settings(tmp_path, photos_folder):
    return Settings(
        _env_file=None,
        data_dir=tmp_path,
        url_signing_secret="url-secret-of-a-test",
        folder_source=photos_folder,
    )


@pytest.fixture
def files(photos_folder, ledger):
    photos_folder.mkdir()
    made = []
    for name in ("IMG_1.jpg", "IMG <2>.jpg"):
        (photos_folder / name).write_bytes(photo_of_a_mug(len(made), size=96))
        ref = f"folder:{name.replace(' ', '%20')}"
        made.append(SourceFile("folder", ref, name, "1", FileState.UNMATCHED, "Whose?"))
    ledger.source_files.keep(made)
    return made


def send(client, file, **fields):
    fields["csrf_token"] = csrf(client.get("/batches/new").text)
    return client.post(f"/photos/tray/{file.id}", data=fields)


def skus(ledger):
    return [job.key.sku for job in ledger.jobs.find(JobQuery(), limit=9)]


def test_a_person_gives_skus_and_drops_files(client, ledger, files):
    assert "2 files need a SKU" in client.get("/").text
    page = client.get("/photos/tray").text
    parsed(page)
    assert "IMG &lt;2&gt;.jpg" in page
    picture = client.get(f"/photos/tray/{files[1].id}/picture")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")
    assert send(client, files[0], sku="MUG").headers["location"] == "/photos/tray?said=sku_given"
    assert send(client, files[1], drop="true").headers["location"] == "/photos/tray?said=dropped"
    assert (skus(ledger), "The tray is empty" in client.get("/photos/tray").text) == (["MUG"], True)
    assert [send(client, files[0], sku="MUG").status_code, skus(ledger)] == [409, ["MUG"]]


@pytest.mark.parametrize(("sku", "gone", "status"), [("", False, 422), ("MUG", True, 422)])
def test_what_cannot_be_taken_is_told_and_waits(
    client, photos_folder, ledger, files, sku, gone, status
):
    if gone:
        (photos_folder / files[0].name).unlink()
        assert client.get(f"/photos/tray/{files[0].id}/picture").status_code == 404
    answer = send(client, files[0], sku=sku)
    assert answer.status_code == status
    parsed(answer.text)
    assert (skus(ledger), ledger.source_files.count_waiting()) == ([], 2)
    assert client.get("/photos/tray/none/picture").status_code == 404


def test_the_command_does_the_same(settings, photos_folder, ledger, files, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("FOLDER_SOURCE", str(photos_folder))
    monkeypatch.setattr("getpass.getuser", lambda: "ada")

    def run(*arguments):
        result = CliRunner().invoke(cli, ["tray", *arguments, "--json"], catch_exceptions=False)
        return json.loads(result.stdout)

    assert {each["name"] for each in run()} == {file.name for file in files}
    assert run(files[0].id, "--sku", "MUG")["created"] is True
    assert run(files[1].id, "--drop")["state"] == "dropped"
    assert (run(), skus(ledger)) == ([], ["MUG"])
    assert "Tray" in CliRunner().invoke(cli, ["tray"]).stdout
