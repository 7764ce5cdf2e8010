"""Odd and broken photos on the whole path: the right picture or a clear error, nothing lost."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from PIL import Image

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.sandbox.faults import Fault
from photopipe_dagster_tests.support.world import World, photo_of_a_mug, world


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with world(tmp_path, monkeypatch, IMAGE_MAX_BYTES="400000") as shop:
        yield shop


def encoded(kind: str, mode: str = "RGB", size: tuple[int, int] = (300, 200), **options) -> bytes:
    image = Image.open(io.BytesIO(photo_of_a_mug(5, 300))).resize(size)
    # Of the colours that are in it: a dithered ground is unusable.
    image = image.quantize(64) if mode == "P" else image.convert(mode)
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def sixteen_bit() -> bytes:
    grey = Image.open(io.BytesIO(encoded("PNG", "L"))).convert("I").point(lambda value: value * 257)
    out = io.BytesIO()
    grey.convert("I;16").save(out, "PNG")
    return out.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded("JPEG", exif=exif)


ODD = {
    "grey": encoded("JPEG", "L"),
    "cmyk": encoded("JPEG", "CMYK"),
    "palette": encoded("PNG", "P"),
    "16 bit": sixteen_bit(),
    "progressive": encoded("JPEG", progressive=True),
    "turned": turned(),
}


def test_odd_photos_become_right_pictures(shop: World):
    shop.stock(*ODD)
    keys = []
    for sku, data in ODD.items():
        kind = "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
        photo = shop.sandbox.state.threejms.add(sku, data, kind)
        key = PhotoKey(sku, hashlib.sha256(data).hexdigest(), "default")
        shop.ledger.intake.submit(key, "poll", image_url=photo.url(shop.sandbox.threejms_url))
        keys.append(key)
    result = shop.materialize(keys)
    statuses = {key.sku: shop.ledger.jobs.require(key.job_id) for key in keys}
    assert result.success, {sku: job.error_message for sku, job in statuses.items()}
    for key in keys:
        stored = shop.store.get(key.object_key(Stage.ORIGINAL))
        assert stored.data == ODD[key.sku]
        assert stored.info.content_type in ("image/jpeg", "image/png")
        composite = Image.open(io.BytesIO(shop.store.get(key.object_key(Stage.COMPOSITE)).data))
        assert composite.mode == "RGB"
        assert composite.size == ((200, 300) if key.sku == "turned" else (300, 200))


def test_broken_photos_fail_with_the_reason_and_cost_nothing(shop: World):
    sandbox = shop.sandbox
    good = photo_of_a_mug(1, 300)
    frames = [Image.new("RGB", (80, 80), colour) for colour in ("red", "blue")]
    animated = io.BytesIO()
    frames[0].save(animated, "WEBP", save_all=True, append_images=frames[1:])
    served = {
        "truncated": good[: len(good) * 2 // 3],
        "html": b"<!doctype html><title>Log in</title>" * 20,
        "animated": animated.getvalue(),
        "tiny": encoded("JPEG", size=(20, 20)),
        "huge": good + b"\0" * 400_000,
        "gif": encoded("GIF", "P"),
    }
    urls = {
        sku: sandbox.state.threejms.add(sku, data, "image/jpeg").url(sandbox.threejms_url)
        for sku, data in served.items()
    }
    urls["missing"] = f"{sandbox.threejms_url}/files/none.jpg"
    urls["private"] = "http://10.1.2.3/photo.jpg"
    urls["metadata"] = "http://169.254.169.254/latest/meta-data?token=CANARY"
    urls["elsewhere"] = "ftp://example.com/photo.jpg"
    says = {
        "truncated": "ends before its picture does",
        "html": "HTML",
        "animated": "animation of 2 frames",
        "tiny": "20",
        "huge": "400",
        "gif": "GIF",
        "missing": "404",
        "private": "IMAGE_URL_ALLOWED_HOSTS|private|public",
        "metadata": "IMAGE_URL_ALLOWED_HOSTS|private|public",
        "elsewhere": "https",
    }
    keys = []
    for sku, url in urls.items():
        data = served.get(sku, b"")
        key = PhotoKey(sku, hashlib.sha256(data).hexdigest(), "default")
        shop.ledger.intake.submit(key, "poll", image_url=url)
        keys.append(key)
    assert not shop.materialize(keys).success
    for key in keys:
        job = shop.ledger.jobs.require(key.job_id)
        assert (job.status, job.error_code) == (JobStatus.FAILED, ErrorCode.VALIDATION_ERROR), (
            key.sku,
            job.error_message,
        )
        assert job.retry_at is None
        assert any(word in job.error_message for word in says[key.sku].split("|")), (
            key.sku,
            job.error_message,
        )
        assert "CANARY" not in job.error_message
    assert shop.charges() == []


def test_a_redirect_to_a_private_address_is_not_followed(shop: World):
    shop.sandbox.state.faults.add(Fault(match="threejms.files", kind="redirect", times=1))
    key = shop.announce("A", photo_of_a_mug(1))
    assert not shop.materialize([key]).success
    job = shop.ledger.jobs.require(key.job_id)
    assert (job.error_code, job.retry_at) == (ErrorCode.VALIDATION_ERROR, None)


def test_a_transfer_that_breaks_off_is_tried_again(shop: World):
    shop.stock("A")
    shop.sandbox.state.faults.add(Fault(match="threejms.files", kind="truncated", times=1))
    key = shop.announce("A", photo_of_a_mug(1))
    assert shop.materialize([key]).success
