"""A person repairs a cut-out: every theme uses it, nothing is bought, and it can be taken back."""

from __future__ import annotations

from pathlib import Path

import httpx
import numpy as np
import pytest

from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.imaging.png import decode_cutout, encode_cutout
from photopipe_dagster.ledger.jobs.statuses import JobStatus, Review
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster_tests.support.world import World, photo_of_a_mug, world


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with world(tmp_path, monkeypatch) as shop:
        yield shop


@pytest.fixture
def api(shop: World):
    with httpx.Client(base_url=shop.api_url) as client:
        yield client


def stored(shop: World, key: PhotoKey, stage: Stage = Stage.MASK):
    found = object_store(shop.settings).get(key.object_key(stage))
    assert found is not None
    return found


def stroke(tool="remove", points=((0.5, 0.45), (0.5, 0.55)), **more):
    return {"tool": tool, "points": points, "size": 0.1} | more


def in_force(shop: World, key: PhotoKey):
    return stored(shop, key).info.metadata["sha256"]


def test_a_repaired_cutout_is_used_by_all_themes_costs_nothing_and_is_taken_back(shop, api):
    shop.stock("A")
    keys = [shop.announce("A", photo_of_a_mug(1), theme) for theme in ("default", "luxury")]
    assert shop.materialize(keys).success
    jobs = [shop.ledger.jobs.require(key.job_id) for key in keys]
    assert {job.status for job in jobs} == {JobStatus.DONE}
    bill, media = len(shop.charges()), shop.media()
    first, before = stored(shop, keys[0]), [stored(shop, key, Stage.COMPOSITE) for key in keys]
    page = f"/api/jobs/{jobs[0].id}/cutout"
    told = {"digest": in_force(shop, keys[0]), "operations": [stroke()]}

    answer = api.post(f"{page}/repair", json=told)
    assert answer.status_code == 200, answer.text
    assert {job["id"] for job in answer.json()["jobs"]} == {job.id for job in jobs}
    alpha = decode_cutout(stored(shop, keys[0]).data)[..., 3]
    height, width = alpha.shape
    assert alpha[height // 2, width // 2] == 0
    assert api.post(f"{page}/repair", json=told).status_code == 409, "it is under way"

    assert shop.materialize(keys).success
    jobs = [shop.ledger.jobs.require(key.job_id) for key in keys]
    assert {job.review for job in jobs} == {Review.WAITING}
    assert all("repaired" in " ".join(job.review_reasons) for job in jobs)
    after = [stored(shop, key, Stage.COMPOSITE) for key in keys]
    assert all(new.data != old.data for new, old in zip(after, before, strict=True))
    stale = api.post(f"{page}/repair", json=told)
    assert (stale.status_code, stale.json()["error"]["code"]) == (409, "conflict")
    for job in jobs:
        shop.ledger.reviews.approve(job.id, by="Ann")
    assert shop.materialize(keys).success
    assert {shop.ledger.jobs.require(job.id).status for job in jobs} == {JobStatus.DONE}
    assert (len(shop.charges()), shop.media()) == (bill, media), "replaced in place, nothing bought"

    assert api.post(f"{page}/undo").status_code == 200
    again = stored(shop, keys[0])
    assert (again.data, dict(again.info.metadata)) == (first.data, dict(first.info.metadata))
    assert api.post(f"{page}/undo").status_code == 409
    assert shop.materialize(keys).success
    assert [stored(shop, key, Stage.COMPOSITE).data for key in keys] == [old.data for old in before]
    assert len(shop.charges()) == bill
    outcomes = [decision.outcome for decision in shop.ledger.decisions.taken()]
    assert (outcomes.count("repaired"), outcomes.count("approved")) == (2, 2)


def test_a_cutout_of_another_program_is_taken_if_it_is_one(shop, api):
    shop.stock("A")
    key = shop.announce("A", photo_of_a_mug(1))
    assert shop.materialize([key]).success
    page = f"/api/jobs/{key.job_id}/cutout"
    rgba = decode_cutout(stored(shop, key).data)
    empty, other_shape = np.zeros_like(rgba), rgba[: len(rgba) // 2]
    for wrong in (b"no picture", b"", encode_cutout(empty), encode_cutout(other_shape)):
        answer = api.post(f"{page}/upload", files={"file": ("cutout.png", wrong)})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "validation_error")
    unchanged = {"digest": in_force(shop, key), "operations": [stroke(points=[(0.0, 0.0)])]}
    assert api.post(f"{page}/repair", json=unchanged).status_code == 422
    assert shop.ledger.jobs.require(key.job_id).status is JobStatus.DONE

    rgba[: len(rgba) // 2, :, 3] = 0
    answer = api.post(f"{page}/upload", files={"file": ("cutout.png", encode_cutout(rgba))})
    assert answer.status_code == 200, answer.text
    assert (decode_cutout(stored(shop, key).data)[..., 3] == rgba[..., 3]).all()
    # Another theme that comes later uses it, too.
    later = shop.announce("A", photo_of_a_mug(1), "luxury")
    bought = len(shop.charges())
    assert shop.materialize([later]).success
    assert len(shop.charges()) == bought + 1, "its background alone"


def test_the_page_shows_previews_and_stores_what_was_painted(shop, api):
    shop.stock("A")
    key = shop.announce("A", photo_of_a_mug(1))
    assert shop.materialize([key]).success
    page = f"/jobs/{key.job_id}/repair"
    text = api.get(page).text
    token = {"X-CSRF-Token": text.split('data-token="')[1].split('"')[0]}
    assert 'name="tool"' in text
    told = {"digest": in_force(shop, key), "operations": [stroke()]}
    shown = api.post(f"{page}/preview", json=told, headers=token)
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/png")
    wrong = told | {"operations": [stroke(points=[(2, 0)])]}
    assert api.post(f"{page}/preview", json=wrong, headers=token).status_code == 422
    assert api.post(page, json=told).status_code == 403, "a form of another site"
    answer = api.post(page, json=told, headers=token)
    assert answer.json() == {"next": f"/jobs/{key.job_id}?said=repaired"}
    assert api.get(page).status_code == 409, "the job is under way"
    assert shop.materialize([key]).success
    text = api.get(page).text
    assert "Take it back" in text
    undone = api.post(f"{page}/undo", headers=token)
    assert undone.headers["location"] == f"/jobs/{key.job_id}?said=repair_undone"
