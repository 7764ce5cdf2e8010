"""The page that photos are added on: what it matches, prices and takes."""

import hashlib

import pytest

from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster_tests.unit.api.test_pages import csrf, jpeg, parsed

PHOTO = jpeg(size=(600, 600))


@pytest.fixture
def settings(tmp_path):
    return Settings(_env_file=None, data_dir=tmp_path, url_signing_secret="url-secret-of-a-test")


@pytest.fixture
def token(client):
    return {"X-CSRF-Token": csrf(client.get("/batches/new").text)}


def known(ledger, sku, title=None):
    ledger.catalogue.remember_product(sku, "p", title=title, handle=None)


def send(client, token, data=PHOTO, sku="MUG-1", theme="default"):
    fields = {"sku": sku, "theme": theme}
    return client.post("/photos", data=fields, files={"file": ("a.jpg", data)}, headers=token)


def test_the_page_is_found_from_the_dashboard_and_the_jobs(client):
    for path in ("/", "/jobs"):
        assert 'href="/photos/new"' in client.get(path).text
    page = client.get("/photos/new").text
    parsed(page)
    assert 'capture="environment"' in page
    assert "multiple" in page


def test_files_are_matched_and_priced_and_nothing_starts(client, token, ledger):
    known(ledger, "MUG-1", "A mug")
    files = [
        {"name": "MUG-1_front.jpg", "sha256": "a" * 64, "width": 600, "height": 600},
        {"name": "IMG_1.jpg"},
        {"name": "IMG_2.jpg", "sku": "CUP-1"},
    ]
    wanted = {"theme": "default", "files": files}
    shown = client.post("/photos/preview", json=wanted, headers=token).json()
    assert [each["sku"] for each in shown["files"]] == ["MUG-1", "", "CUP-1"]
    assert shown["files"][0]["title"] == "A mug"
    assert "Type the SKU" in shown["files"][1]["remark"]
    assert shown["total"] == "free"
    assert ledger.jobs.stats().total == 0


def test_a_photo_is_taken_once_however_often_it_is_sent(client, token, ledger, store):
    answers = [send(client, token) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    key = PhotoKey("MUG-1", hashlib.sha256(PHOTO).hexdigest(), "default")
    assert answers[0].json() == {"job": key.job_id, "created": True}
    assert ledger.jobs.require(key.job_id).status is JobStatus.NEW
    assert store.get(key.object_key(Stage.ORIGINAL)).data == PHOTO


@pytest.mark.parametrize(
    "wrong", [{"data": b"no picture"}, {"sku": ""}, {"theme": "none"}, {"sku": "A" * 300}]
)
def test_what_cannot_be_taken_is_told_and_nothing_is_kept(client, token, ledger, wrong):
    answer = send(client, token, **wrong)
    assert answer.status_code == 422
    parsed(answer.text)
    assert ledger.jobs.stats().total == 0


def test_a_photo_without_the_form_s_token_is_refused(client, ledger):
    assert send(client, {}).status_code == 403
    assert ledger.jobs.stats().total == 0


def test_products_are_suggested_by_sku_and_title(client, ledger):
    known(ledger, "MUG-1", "Green cup")
    known(ledger, "LAMP-1", "A lamp")
    for text in ("mug", "GREEN"):
        found = client.get("/photos/products", params={"text": text}).json()
        assert found == [{"sku": "MUG-1", "title": "Green cup"}]
