"""Bytes that were damaged in the store are neither used, paid on nor published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster_tests.support.world import World, damage, photo_of_a_mug, world

WAY = [stage.value for stage in Stage]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(tmp_path, monkeypatch) as shop:
        shop.stock("A")
        yield shop


def failed(shop: World, key: PhotoKey) -> Job:
    assert not shop.materialize([key]).success
    job = shop.ledger.jobs.require(key.job_id)
    assert (job.status, job.error_code, shop.media()) == (JobStatus.FAILED, ErrorCode.S3_ERROR, 0)
    return job


@pytest.mark.parametrize("stage", [Stage.ORIGINAL, Stage.COMPOSITE])
def test_what_costs_nothing_is_made_again_by_itself(shop: World, stage: Stage):
    key = shop.announce("A", photo_of_a_mug(1))
    assert shop.materialize([key], WAY[: WAY.index(Stage.COMPOSITE) + 1]).success
    charges = len(shop.charges())
    damage(shop, key, stage)
    job = failed(shop, key)
    assert job.retry_at is not None
    assert f"{key.object_key(stage)} was damaged in the object store" in job.error_message
    assert shop.materialize([key]).success
    assert (shop.media(), len(shop.charges())) == (1, charges)


def test_what_was_bought_is_bought_again_only_when_a_person_says_so(shop: World):
    key = shop.announce("A", photo_of_a_mug(1))
    assert shop.materialize([key], WAY[: WAY.index(Stage.BACKGROUND) + 1]).success
    charges = len(shop.charges())
    damage(shop, key, Stage.BACKGROUND)
    job = failed(shop, key)
    assert job.retry_at is None
    assert f"`photopipe retry {job.id}` makes it again, and pays for it again" in job.error_message
    assert len(shop.charges()) == charges
    shop.ledger.transitions.retry(job.id)
    assert shop.materialize([key]).success
    assert (shop.media(), len(shop.charges())) == (1, charges + 1)
