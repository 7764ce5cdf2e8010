"""Photos are fetched from where their reference leads, at intake and by stage *original*."""

from __future__ import annotations

import httpx
import pytest

from photopipe_dagster.core.errors import NetworkError, PhotoRejectedError
from photopipe_dagster.runtime.photo_fetcher import PhotoFetcher
from photopipe_dagster.runtime.services import open_services
from photopipe_dagster.sources.base import Announcement
from photopipe_dagster.sources.intake import Intake
from photopipe_dagster.sources.threejms.plugin import Plugin as ThreeJms
from photopipe_dagster_tests.support.world import photo_of_a_mug


async def test_a_source_is_opened_when_it_is_needed_once_and_closed(settings, shelf, plugin):
    shelf.put("shelf:1", "A", b"photo")
    async with PhotoFetcher(settings) as photos:
        assert shelf.opened == 0
        assert [await photos.fetch("shelf:1") for _ in range(2)] == [b"photo"] * 2
        assert photos.source(plugin) is shelf
        assert (shelf.opened, shelf.closed) == (1, 0)
    assert shelf.closed == 1


async def test_https_is_downloaded(settings, plugin):
    trusting = settings.model_copy(update={"image_url_allowed_hosts": ("127.0.0.1",)})

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"\xff\xd8photo")

    async with PhotoFetcher(trusting, transport=httpx.MockTransport(answer)) as photos:
        assert await photos.fetch("https://127.0.0.1/1.jpg") == b"\xff\xd8photo"
        with pytest.raises(PhotoRejectedError, match="https://"):
            await photos.fetch("photo.jpg")


async def test_a_scheme_that_nobody_knows_says_what_to_do(settings, plugin):
    async with PhotoFetcher(settings) as photos:
        with pytest.raises(PhotoRejectedError, match=r"drive: references. Install the package"):
            await photos.fetch("drive:1?sig=hush")


async def test_a_failure_says_which_source_it_is_of(settings, shelf, plugin):
    shelf.away = {"shelf:1"}
    async with PhotoFetcher(settings) as photos:
        with pytest.raises(NetworkError) as caught:
            await photos.fetch("shelf:1")
    assert caught.value.details == {"source": "shelf"}


async def test_a_photo_of_a_source_may_be_too_large(settings, shelf, plugin):
    shelf.put("shelf:1", "A", b"photo")
    small = settings.model_copy(update={"image_max_bytes": 4})
    async with PhotoFetcher(small) as photos:
        with pytest.raises(PhotoRejectedError, match="IMAGE_MAX_BYTES"):
            await photos.fetch("shelf:1")


async def test_a_run_fetches_by_scheme_also_from_a_source_that_is_switched_off(
    settings, shelf, plugin
):
    shelf.put("shelf:1", "A", b"photo")
    others = settings.model_copy(update={"sources": ("threejms",)})
    async with open_services(others) as services:
        assert await services.fetch_photo("shelf:1") == b"photo"
    assert shelf.closed == 1


async def test_https_without_a_digest_is_downloaded_at_intake(settings, ledger, store):
    fetched = []

    async def fetch(ref: str) -> bytes:
        fetched.append(ref)
        return photo_of_a_mug()

    intake = Intake(settings, ledger, store, fetch)
    accepted = await intake.accept(
        Announcement("A", "https://photos.example/1.jpg"), ThreeJms(), arrives_by="poll"
    )
    assert accepted.created
    assert fetched == ["https://photos.example/1.jpg"]


@pytest.mark.parametrize("sha256", [None, "a" * 64])
async def test_a_source_cannot_announce_photos_of_another(settings, ledger, store, shelf, sha256):
    intake = Intake(settings, ledger, store, shelf.fetch)
    announcement = Announcement("A", "shelf:1", sha256)
    with pytest.raises(PhotoRejectedError, match="must begin with https://"):
        await intake.accept(announcement, ThreeJms(), arrives_by="poll")
    assert shelf.fetched == []
