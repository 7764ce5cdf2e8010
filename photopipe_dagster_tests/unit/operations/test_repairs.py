"""Repairs of cut-outs whose jobs go on meanwhile."""

import hashlib
from functools import partial

import numpy as np
import pytest

from photopipe_dagster.core.errors import InvalidTransitionError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.imaging.png import encode_cutout
from photopipe_dagster.imaging.retouch import Operation
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.operations.repairs import CutoutRepairs
from photopipe_dagster.storage.pictures import CutoutFacts, OriginalFacts, put_picture
from photopipe_dagster_tests.support.world import photo_of_a_mug
from photopipe_dagster_tests.unit.api.conftest import ledger, settings, store

__all__ = ["ledger", "settings", "store"]  # fixtures

PHOTO = photo_of_a_mug(1, size=96)
SHA256 = hashlib.sha256(PHOTO).hexdigest()
STROKE = Operation.model_validate({"tool": "remove", "points": [(0.5, 0.5)], "size": 0.2})


@pytest.fixture
def jobs(ledger, store):
    """A photo that is published in two themes."""
    rgba = np.zeros((96, 96, 4), np.uint8)
    rgba[20:70, 20:70] = 255
    original = OriginalFacts(width=96, height=96, format="JPEG", content_type="image/jpeg")
    keys = [PhotoKey("MUG", SHA256, theme) for theme in ("default", "luxury")]
    for key in keys:
        mask = key.object_key(Stage.MASK)
        for place, data, kind, facts in (
            (key.object_key(Stage.ORIGINAL), PHOTO, "image/jpeg", original),
            (mask, encode_cutout(rgba), "image/png", CutoutFacts(width=96, height=96)),
        ):
            put_picture(store, place, data, content_type=kind, recipe="r", facts=facts)
        ledger.transitions.begin(key, "run", again=True)
        ledger.transitions.advance(key.job_id, JobStatus.COMPOSITING, stored=(Stage.MASK, mask))
        ledger.transitions.advance(key.job_id, JobStatus.DONE, published=("p", "m"))
    return [ledger.jobs.require(key.job_id) for key in keys]


def mask_of(store, job):
    return store.get(job.key.object_key(Stage.MASK)).data


@pytest.mark.parametrize("how", ["repair", "upload", "undo"])
def test_a_job_that_went_on_meanwhile_keeps_its_cutout(settings, ledger, store, jobs, how):
    repairs = CutoutRepairs(settings, ledger, store)
    if how == "undo":
        repairs.repair(jobs[0], repairs.open(jobs[0]), [STROKE], by="Ann")
    opened, before = repairs.open(jobs[0]), mask_of(store, jobs[0])
    if how != "undo":
        ledger.reviews.another_background(jobs[0].id, by="Eva")
    rgba = opened.rgba.copy()
    rgba[20:40] = 0
    does = {
        "repair": partial(repairs.repair, jobs[0], opened, [STROKE]),
        "upload": partial(repairs.upload, jobs[0], encode_cutout(rgba)),
        "undo": partial(repairs.undo, jobs[0]),
    }
    with pytest.raises(InvalidTransitionError, match="under way"):  # `jobs[0]` says it is done
        does[how](by="Ann")
    assert mask_of(store, jobs[0]) == before


def test_another_theme_that_went_on_meanwhile_stops_no_repair(
    settings, ledger, store, jobs, monkeypatch
):
    ledger.reviews.another_background(jobs[1].id, by="Eva")
    monkeypatch.setattr(ledger.jobs, "of_photo", lambda _: jobs[1:])  # as they were
    repairs = CutoutRepairs(settings, ledger, store)
    remade = repairs.repair(jobs[0], repairs.open(jobs[0]), [STROKE], by="Ann")
    assert [job.id for job in remade] == [jobs[0].id]
