"""A bucket of a real S3 server over HTTP, that is polled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import boto3
import pytest

from photopipe_dagster.core.errors import ConfigurationError, PhotoRejectedError, StorageError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.source_files import FileState
from photopipe_dagster.runtime.photo_fetcher import PhotoFetcher
from photopipe_dagster.sources.base import SourceContext
from photopipe_dagster.sources.bucket import source as bucket_source
from photopipe_dagster.sources.bucket.plugin import Plugin
from photopipe_dagster.sources.intake import Intake
from photopipe_dagster.sources.polling import Poller, PollReport
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster_tests.support.ledgers import new_ledger
from photopipe_dagster_tests.support.world import photo_of_a_mug
from photopipe_dagster_tests.unit.storage.conftest import _aws, s3_url

__all__ = ["_aws", "s3_url"]  # fixtures

PLUGIN = Plugin()


def mug(number: int) -> bytes:
    return photo_of_a_mug(number, size=96)


class Bucket:
    """A bucket with a ledger that polls it."""

    def __init__(self, url, tmp_path, name):
        self.name = name
        self.client = boto3.client("s3", endpoint_url=url, region_name="us-east-1")
        self.client.create_bucket(Bucket=name)
        own = {"bucket_source": f"s3://{name}/photos/", "aws_endpoint_url_s3": url}
        self.settings = Settings(_env_file=None, data_dir=tmp_path, **own)
        new_ledger(tmp_path)
        self.ledger = Ledger(self.settings.ledger_url)
        self.has("MUG-1", "CUP")

    def has(self, *skus: str) -> None:
        rows = [{"sku": sku, "barcode": None, "title": None} for sku in skus]
        self.ledger.catalogue.replace_skus(rows)

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def poll(self) -> PollReport:
        async def run() -> PollReport:
            async with PhotoFetcher(self.settings) as photos:
                store = object_store(self.settings)
                intake = Intake(self.settings, self.ledger, store, photos.fetch)
                source = photos.source(PLUGIN)
                return await Poller(
                    PLUGIN, PLUGIN.polling, source, intake, self.ledger, self.settings
                ).poll()

        return asyncio.run(run())

    @property
    def skus(self) -> list[str]:
        return sorted(job.key.sku for job in self.ledger.jobs.find(JobQuery(), limit=9))


@pytest.fixture
def bucket(s3_url, tmp_path, request) -> Iterator[Bucket]:
    made = Bucket(s3_url, tmp_path, f"photos-{abs(hash(request.node.name)) % 10**9}")
    yield made
    made.ledger.close()


def test_photos_become_jobs_once_whatever_their_keys(bucket, monkeypatch):
    monkeypatch.setattr(bucket_source, "_KEYS_A_PAGE", 2)
    bucket.put("photos/MUG-1_front.jpg", mug(1))
    bucket.put("photos/süd #1/CUP (2).jpg", mug(2))
    bucket.put("photos/" + "x" * 300 + ".jpg", mug(3))
    bucket.put("photos/notes.txt", b"")
    bucket.put("photos/", b"")
    bucket.put("elsewhere/CUP.jpg", mug(4))
    report = bucket.poll()
    assert (report.seen, report.created, report.waiting) == (3, 2, 1)
    assert bucket.skus == ["CUP", "MUG-1"]
    assert report.watermark is not None
    with monkeypatch.context() as patched:
        patched.setattr(bucket_source.BucketSource, "_read", None)  # nothing is read again
        assert bucket.poll().created == 0
    bucket.put("photos/CUP.jpg", mug(2))  # the same photo under another name
    assert (bucket.poll().created, bucket.skus) == (0, ["CUP", "MUG-1"])
    bucket.put("photos/CUP.jpg", mug(5))
    assert bucket.poll().created == 1


def test_what_waits_is_taken_when_the_shop_has_its_sku_though_it_is_listed_no_more(
    bucket, monkeypatch
):
    bucket.put("photos/LAMP_1.jpg", mug(1))
    bucket.put("photos/CUP.jpg", b"PK no photo")
    assert bucket.poll().waiting == 2
    monkeypatch.setattr(bucket_source.BucketSource, "_entries", lambda *_: iter(()))
    bucket.has("LAMP", "CUP")
    assert (bucket.poll().created, bucket.skus) == (1, ["LAMP"])
    [refused] = bucket.ledger.source_files.waiting()
    assert (refused.name, refused.state) == ("CUP.jpg", FileState.REFUSED)


def test_a_bucket_that_vanishes_is_told_and_nothing_is_lost(bucket):
    bucket.put("photos/IMG_1.jpg", mug(1))
    watermark = bucket.poll().watermark
    bucket.client.delete_object(Bucket=bucket.name, Key="photos/IMG_1.jpg")
    bucket.client.delete_bucket(Bucket=bucket.name)
    with pytest.raises(StorageError, match="correct BUCKET_SOURCE"):
        bucket.poll()
    assert bucket.ledger.watermarks.get("bucket") == watermark.isoformat()
    assert bucket.ledger.source_files.count_waiting() == 1


def test_what_is_gone_or_too_large_is_refused(bucket):
    bucket.put("photos/CUP.jpg", mug(1))
    ref = f"bucket:{bucket.name}/photos/CUP.jpg"

    def fetch(settings):
        return asyncio.run(PLUGIN.open(SourceContext(settings)).fetch(ref))

    assert fetch(bucket.settings) == mug(1)
    with pytest.raises(PhotoRejectedError, match="IMAGE_MAX_BYTES"):
        fetch(bucket.settings.model_copy(update={"image_max_bytes": 100}))
    bucket.client.delete_object(Bucket=bucket.name, Key="photos/CUP.jpg")
    with pytest.raises(PhotoRejectedError, match="not in the bucket"):
        fetch(bucket.settings)


def test_it_is_off_where_no_bucket_is_set():
    bare = Settings(_env_file=None)
    assert "BUCKET_SOURCE" in str(PLUGIN.schedule(bare).off)
    with pytest.raises(ConfigurationError, match="BUCKET_SOURCE"):
        PLUGIN.open(SourceContext(bare))
