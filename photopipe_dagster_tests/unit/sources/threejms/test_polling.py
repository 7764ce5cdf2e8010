import hashlib
import json
from datetime import timedelta

import httpx
import pytest

from photopipe_dagster.core.errors import NetworkError, PhotoRejectedError
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.product_sizes import ProductSize
from photopipe_dagster.net.client import Retry
from photopipe_dagster.sources.announcements import read_announcement, read_moment
from photopipe_dagster.sources.intake import Intake
from photopipe_dagster.sources.polling import Poller, PollReport
from photopipe_dagster.sources.threejms.client import ThreeJmsClient
from photopipe_dagster.sources.threejms.plugin import POLLING, Plugin
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster_tests.unit.sources.threejms.conftest import NOW

LAST_POLL = POLLING.watermark


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def no_fetch(_: str) -> bytes:
    raise AssertionError("a photo with a digest is not fetched at intake")


def intake(settings, ledger) -> Intake:
    return Intake(settings, ledger, object_store(settings), no_fetch)


@pytest.fixture
def announce(ledger, settings):
    """Let 3JMS announce a photo, and get its job and whether that is new."""

    async def announced(way="webhook", using=settings, sku="A", **fields):
        url = f"https://photos.example/{sku}.jpg?sig=hush"
        read = read_announcement({"sku": sku, "url": url, "sha256": digest(sku)} | fields)
        accepted = await intake(using, ledger).accept(read, Plugin(), arrives_by=way)
        return ledger.jobs.require(accepted.key.job_id), accepted.created

    return announced


# --- one photo ---------------------------------------------------------------------------


async def test_an_announced_photo_becomes_one_job(announce, ledger):
    job, created = await announce("webhook", takenAt="2026-10-31T08:00:00Z", heightCm=25)
    again, created_again = await announce("poll")
    assert (created, created_again) == (True, False)
    assert job == again
    assert job.key.theme == "default"
    assert job.source == "webhook"
    assert job.image_url == "https://photos.example/A.jpg?sig=hush"
    assert job.taken_at == read_moment("2026-10-31T08:00:00Z")
    assert ledger.product_sizes.get("A") == ProductSize("A", 25.0, source="webhook")


async def test_a_theme_makes_another_job(announce):
    first, _ = await announce()
    second, created = await announce(theme="kitchen")
    assert created
    assert second.key.theme == "kitchen"
    assert first.id != second.id


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"theme": "seaside"}, "theme: 'seaside' is not one of default, kitchen"),
        ({"theme": ""}, "theme: ''"),
        ({"sku": " "}, "SKU is empty"),
        ({"sku": "a\x00b"}, "SKU"),
        ({"sku": "ü" * 100}, "SKU has 100"),
        ({"url": "file:///etc/passwd"}, "https://"),
        ({"url": "http://169.254.169.254/latest/"}, "not on the public internet"),
        ({"url": "https://user:word@photos.example/"}, "password"),
    ],
)
async def test_what_cannot_become_a_job_says_why(announce, ledger, fields, words):
    with pytest.raises(PhotoRejectedError, match=words):
        await announce(**fields)
    assert ledger.jobs.count(JobQuery()) == 0


async def test_development_takes_the_beginning_of_a_digest(announce):
    _, created = await announce(sha256="ABC123def456")
    assert created


async def test_production_wants_all_digits_and_https(announce, production):
    with pytest.raises(PhotoRejectedError, match="sha256: has 12"):
        await announce(using=production, sha256="abc123def456")
    with pytest.raises(PhotoRejectedError, match="must be https"):
        await announce(using=production, url="http://photos.example/1.jpg")
    _, created = await announce(using=production)
    assert created


# --- polls -------------------------------------------------------------------------------


class Shelf:
    """A listing in pages of two that behaves as 3JMS is thought to: ``since`` excludes."""

    def __init__(self):
        self.entries = []
        self.broken_page = None
        self.asked = []
        self.newest_first = False

    def put(self, sku, minutes, **fields):
        """A photo that 3JMS changed so many minutes before now."""
        entry = {"sku": sku, "url": f"https://photos.example/{sku}.jpg?sig=hush"}
        entry |= {"hash": digest(sku), "updated_at": ago(minutes).isoformat()} | fields
        self.entries.append(entry)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        page = int(request.url.params["page"])
        since = request.url.params.get("since")
        if page == 1:
            self.asked.append(since)
        if page == self.broken_page:
            return httpx.Response(500)
        found = [
            entry
            for entry in self.entries
            if not since
            or "updated_at" not in entry
            or read_moment(entry["updated_at"]) > read_moment(since)
        ]
        if self.newest_first:
            found.sort(key=lambda entry: entry["updated_at"], reverse=True)
        some = found[2 * page - 2 : 2 * page]
        following = f"?page={page + 1}" + (f"&since={since}" if since else "")
        more = 2 * page < len(found)
        answer = {"results": some, "next": following if more else None}
        return httpx.Response(200, content=json.dumps(answer))


def ago(minutes: float):
    return NOW - timedelta(minutes=minutes)


async def _no_wait(_: float) -> None:
    pass


@pytest.fixture
def shelf():
    return Shelf()


def poller(client, ledger, settings) -> Poller:
    return Poller(Plugin(), POLLING, client, intake(settings, ledger), ledger, settings)


@pytest.fixture
def run_poll(shelf, ledger, settings):
    async def run(using=settings):
        transport = httpx.MockTransport(shelf)
        retry = Retry(attempts=1, sleep=_no_wait)
        async with ThreeJmsClient(settings, transport, retry=retry) as client:
            return await poller(client, ledger, using).poll()

    return run


def known_skus(ledger):
    return sorted(job.key.sku for job in ledger.jobs.find(JobQuery(), limit=100))


async def test_a_poll_makes_jobs_and_moves_the_watermark(shelf, run_poll, ledger):
    for number, sku in enumerate("EDCBA"):
        shelf.put(sku, minutes=50 - number)
    assert await run_poll() == PollReport("3JMS", 5, 5, 0, 0, ago(46))
    assert known_skus(ledger) == list("ABCDE")
    assert read_moment(ledger.watermarks.get(LAST_POLL)) == ago(46)
    assert shelf.asked == [None]

    shelf.put("F", minutes=1)
    report = await run_poll()
    # The overlap of ten minutes brings the five known ones again.
    assert report == PollReport("3JMS", 6, 1, 5, 0, ago(1))
    assert read_moment(shelf.asked[1]) == ago(56)
    assert str(report) == (
        "6 photos listed by 3JMS: 1 new, 5 known, 0 refused; seen up to 2026-11-01 11:59:00 UTC"
    )


async def test_an_empty_listing_leaves_the_watermark(run_poll, ledger):
    report = await run_poll()
    assert report == PollReport("3JMS", 0, 0, 0, 0, None)
    assert str(report) == "0 photos listed by 3JMS: 0 new, 0 known, 0 refused"
    assert ledger.watermarks.get(LAST_POLL) is None
    ledger.watermarks.set(LAST_POLL, ago(30).isoformat())
    assert (await run_poll()).watermark == ago(30)


async def test_photos_of_the_same_moment_are_found_even_without_overlap(
    shelf, run_poll, ledger, settings
):
    plain = settings.model_copy(update={"threejms_poll_overlap_seconds": 0})
    shelf.put("A", minutes=20)
    await run_poll(plain)
    shelf.put("B", minutes=20)
    shelf.put("C", minutes=20)
    await run_poll(plain)
    assert known_skus(ledger) == ["A", "B", "C"]


@pytest.mark.parametrize("newest_first", [True, False])
async def test_a_page_that_fails_loses_nothing_in_whatever_order(
    shelf, run_poll, ledger, newest_first
):
    shelf.newest_first = newest_first
    for number, sku in enumerate("ABCDEF"):
        shelf.put(sku, minutes=600 - 100 * number)
    shelf.broken_page = 2
    with pytest.raises(NetworkError):
        await run_poll()
    assert len(known_skus(ledger)) == 2
    assert ledger.watermarks.get(LAST_POLL) is None
    shelf.broken_page = None
    assert await run_poll() == PollReport("3JMS", 6, 4, 2, 0, ago(100))
    assert known_skus(ledger) == list("ABCDEF")


async def test_without_moments_the_poll_s_own_start_is_the_watermark(shelf, run_poll):
    shelf.entries = [{"sku": "A", "url": "https://photos.example/A", "hash": digest("A")}]
    assert (await run_poll()).watermark == NOW - timedelta(seconds=60)


async def test_a_moment_in_the_future_does_not_hide_what_comes(shelf, run_poll, ledger):
    shelf.put("A", minutes=-60 * 24 * 365)
    assert (await run_poll()).watermark == NOW
    shelf.put("B", minutes=5)
    await run_poll()
    assert known_skus(ledger) == ["A", "B"]


async def test_the_watermark_never_goes_back(shelf, run_poll, ledger):
    ledger.watermarks.set(LAST_POLL, ago(5).isoformat())
    shelf.put("A", minutes=10)
    assert (await run_poll()).watermark == ago(5)


@pytest.mark.parametrize("value", ["yesterday", "0001-01-01T00:00:00+00:00"])
async def test_an_odd_watermark_lists_everything(shelf, run_poll, ledger, value):
    ledger.watermarks.set(LAST_POLL, value)
    shelf.put("A", minutes=10)
    assert (await run_poll()).created == 1
    assert shelf.asked == [None]


async def test_what_cannot_become_a_job_is_kept_once(shelf, run_poll, ledger):
    shelf.put("A", minutes=4, theme="seaside")
    shelf.put("B", minutes=3, hash=None)
    shelf.put("C", minutes=2)
    shelf.entries.append({"sku": 7, "updated_at": ago(1).isoformat()})
    assert await run_poll() == PollReport("3JMS", 4, 1, 0, 3, ago(1))
    assert (await run_poll()).rejected == 3
    kept = ledger.watermarks.rejections()
    assert len(kept) == 3
    assert {rejection.source for rejection in kept} == {"poll"}
    assert any("theme: 'seaside'" in rejection.reason for rejection in kept)
    assert any(rejection.announcement.get("sku") == "B" for rejection in kept)
    assert "hush" not in str(kept)


@pytest.mark.parametrize("field", ["sku", "url", "hash", "theme", "title\ud83e"])
async def test_a_text_cut_within_a_character_stops_no_poll(shelf, run_poll, ledger, field):
    shelf.put("A", minutes=4)
    shelf.put("B", minutes=3)
    shelf.entries[-1][field] = "https://photos.example/\ud83e"
    shelf.put("C", minutes=2)
    report = await run_poll()
    refused = field in ("sku", "url", "hash", "theme")
    assert (report.created, report.rejected) == (3 - refused, refused)
    assert report.watermark == ago(2)
    assert read_moment(ledger.watermarks.get(LAST_POLL)) == ago(2)
    assert len(ledger.watermarks.rejections()) == refused
    assert (await run_poll()).created == 0


async def test_a_listed_moment_that_cannot_be_read_is_left_out_with_a_warning(
    shelf, run_poll, ledger, caplog
):
    shelf.put("A", minutes=4)
    shelf.put("B", minutes=3, taken_at="")
    shelf.put("C", minutes=2)
    assert await run_poll() == PollReport("3JMS", 3, 3, 0, 0, ago(2))
    assert caplog.text.count("taken_at: must be a moment") == 1
    await run_poll()
    assert caplog.text.count("taken_at: must be a moment") == 1
