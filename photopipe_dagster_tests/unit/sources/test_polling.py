"""Polls of a source that knows no digests."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import httpx
import pytest

from photopipe_dagster.core.errors import NetworkError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.runtime.photo_fetcher import PhotoFetcher
from photopipe_dagster.sources.intake import Intake
from photopipe_dagster.sources.polling import Poller, PollReport
from photopipe_dagster.sources.threejms.client import ThreeJmsClient
from photopipe_dagster.sources.threejms.plugin import POLLING
from photopipe_dagster.sources.threejms.plugin import Plugin as ThreeJms
from photopipe_dagster_tests.support.world import photo_of_a_mug
from photopipe_dagster_tests.unit.sources.conftest import NOW

MUG = photo_of_a_mug(1)
MUG_KEY = PhotoKey("MUG #1", hashlib.sha256(MUG).hexdigest(), "default")


@pytest.fixture
def poll(settings, ledger, store, plugin):
    async def once():
        async with PhotoFetcher(settings) as photos:
            intake = Intake(settings, ledger, store, photos.fetch)
            source = photos.source(plugin)
            return await Poller(plugin, plugin.polling, source, intake, ledger, settings).poll()

    return once


async def test_a_photo_is_listed_hashed_stored_and_acknowledged(poll, shelf, ledger, store):
    shelf.put("shelf:1", "MUG #1", MUG)
    assert await poll() == PollReport("The shelf", 1, 1, 0, 0, NOW)
    job = ledger.jobs.require(MUG_KEY.job_id)
    assert (job.key, job.source, job.image_url) == (MUG_KEY, "shelf", "shelf:1")
    original = store.get(MUG_KEY.object_key(Stage.ORIGINAL))
    assert (original.data, original.info.content_type) == (MUG, "image/jpeg")
    assert shelf.told == ["shelf:1"]
    assert (shelf.opened, shelf.closed) == (1, 1)
    assert (await poll()).seen == 0


@pytest.mark.parametrize(
    ("error", "said"),
    [(NetworkError("No answer."), "No answer."), (ValueError("?sig=hush"), "ValueError")],
)
async def test_a_failure_to_acknowledge_fails_no_photo(poll, shelf, ledger, caplog, error, said):
    shelf.put("shelf:1", "MUG #1", MUG)
    shelf.silent = error
    assert await poll() == PollReport("The shelf", 1, 1, 0, 0, NOW)
    assert "The shelf could not be told" in caplog.text
    assert said in caplog.text
    assert "hush" not in caplog.text
    shelf.silent = None
    await poll()
    assert shelf.told == ["shelf:1"]


async def test_a_photo_that_cannot_be_had_now_is_left_and_its_neighbours_go_on(poll, shelf, ledger):
    shelf.put("shelf:1", "A", photo_of_a_mug(2))
    shelf.put("shelf:2", "MUG #1", MUG)
    shelf.away = {"shelf:1"}
    with pytest.raises(NetworkError, match="does not answer"):
        await poll()
    assert ledger.jobs.get(MUG_KEY.job_id) is not None
    assert shelf.told == ["shelf:2"]
    assert ledger.watermarks.get("last_shelf_poll") is None

    shelf.away = set()
    assert await poll() == PollReport("The shelf", 1, 1, 0, 0, NOW)


async def test_what_is_no_photo_is_kept_with_the_reason_and_not_acknowledged(poll, shelf, ledger):
    shelf.put("shelf:1?sig=hush", "A", b"no picture")
    shelf.put("shelf:2", "", MUG)
    assert (await poll()).rejected == 2
    kept = ledger.watermarks.rejections()
    assert {rejection.source for rejection in kept} == {"shelf"}
    assert any("SKU is empty" in rejection.reason for rejection in kept)
    assert "hush" not in str(kept)
    assert shelf.told == []
    # What the SKU alone refuses is not fetched for it.
    assert shelf.fetched == ["shelf:1?sig=hush"]


async def test_two_sources_have_watermarks_of_their_own(poll, shelf, settings, ledger, store):
    def answer(_: httpx.Request) -> httpx.Response:
        entry = {"sku": "B", "url": "https://photos.example/1.jpg", "sha256": "b" * 64}
        return httpx.Response(200, json=[entry | {"updatedAt": "2026-11-01T11:00:00Z"}])

    shelf.put("shelf:1", "MUG #1", MUG, NOW - timedelta(minutes=5))
    await poll()
    threejms = settings.model_copy(update={"threejms_api_url": "https://inventory.example"})
    async with ThreeJmsClient(threejms, httpx.MockTransport(answer)) as client:
        intake = Intake(settings, ledger, store, client.fetch)
        await Poller(ThreeJms(), POLLING, client, intake, ledger, threejms).poll()
    assert ledger.watermarks.get("last_shelf_poll") == "2026-11-01T11:55:00+00:00"
    assert ledger.watermarks.get("last_3jms_poll") == "2026-11-01T11:00:00+00:00"
    assert {job.source for job in ledger.jobs.find(JobQuery(), limit=9)} == {"shelf", "poll"}
    await poll()
    assert shelf.asked == [None, NOW - timedelta(minutes=5, seconds=1)]
