"""What an outside orchestrator has made is taken for done by the pipeline, which goes on."""

import io
from datetime import timedelta
from decimal import Decimal

import dagster as dg
import httpx
import numpy as np
import pytest
from PIL import Image

from photopipe_dagster.core.photo import Stage
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.defs.sensors.dispatch import photo_dispatch
from photopipe_dagster.ledger.jobs.leases import job_lease
from photopipe_dagster.ledger.jobs.model import EXTERNAL
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster_tests.support.world import photo_of_a_mug, world


@pytest.fixture
def shop(tmp_path, monkeypatch):
    with world(tmp_path, monkeypatch) as shop:
        yield shop


def cutout(photo):
    image = Image.open(io.BytesIO(photo)).convert("RGBA")
    pixels = np.array(image)
    height, width = pixels.shape[:2]
    keep = np.zeros((height, width), bool)
    keep[height // 4 : height * 3 // 4, width // 4 : width * 3 // 4] = True
    pixels[~keep] = 0
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def scene(size=240):
    ramp = np.linspace(160, 230, size).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(np.dstack([np.tile(ramp, (size, 1))] * 3)).save(out, "JPEG", quality=95)
    return out.getvalue()


def test_the_pipeline_goes_on_and_pays_for_nothing_that_is_done(shop):
    shop.stock("A")
    photo = photo_of_a_mug()
    key = shop.announce("A", photo)
    with httpx.Client(base_url=shop.api_url) as api:
        urls = api.post(f"/api/jobs/{key.job_id}/start").json()["presignedUrls"]
        for name, data, kind in (
            ("original", photo, "jpeg"),
            ("mask", cutout(photo), "png"),
            ("background", scene(), "jpeg"),
        ):
            headers = {"Content-Type": f"image/{kind}"}
            assert api.put(urls[name], content=data, headers=headers).status_code == 200
        for path, stage, hold in (
            ("segmentation", Stage.MASK, 600),
            ("backgrounds", Stage.BACKGROUND, 0),
        ):
            told = {"s3Key": key.object_key(stage), "cost": 0.03, "metadata": {"provider": "ours"}}
            answer = api.post(f"/api/jobs/{key.job_id}/{path}?hold={hold}", json=told)
            assert answer.status_code == 200, answer.text
    mask = shop.store.get(key.object_key(Stage.MASK)).data
    shop.materialize([key])
    job = shop.ledger.jobs.require(key.job_id)
    assert shop.charges() == []
    assert shop.store.get(key.object_key(Stage.MASK)).data == mask
    assert (job.segmentation_cost, job.background_cost) == (Decimal("0.03"), Decimal("0.03"))
    ours = [step for step in shop.ledger.steps.of_job(job.id) if step.run_id != EXTERNAL]
    steps = {step.stage: step for step in ours}
    assert steps[Stage.MASK].reused
    assert steps[Stage.BACKGROUND].reused
    assert steps[Stage.MASK].provider == "ours"


def test_a_silent_orchestrator_is_waited_for_and_then_replaced(shop):
    key = shop.announce("A", photo_of_a_mug())
    with httpx.Client(base_url=shop.api_url) as api:
        assert api.post(f"/api/jobs/{key.job_id}/start?hold=30").status_code == 200

    def tick():
        context = dg.build_sensor_context(instance=shop.instance)
        return photo_dispatch(context, photopipe=PhotopipeResource())

    assert isinstance(tick(), dg.SkipReason)
    assert shop.ledger.jobs.require(key.job_id).run_id == EXTERNAL
    # Half a minute later.
    now = shop.ledger.database.now
    shop.ledger.database.now = lambda: now() + timedelta(seconds=31)
    [request] = tick().run_requests
    assert request.partition_key == key.partition_key
    job = shop.ledger.jobs.require(key.job_id)
    assert (job.status, job.run_id, job.retry_count) == (JobStatus.QUEUED, None, 0)
    assert shop.ledger.leases.take([job_lease(job.id)], "a run") != frozenset()
