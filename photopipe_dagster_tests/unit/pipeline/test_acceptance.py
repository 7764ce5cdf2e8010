"""What a provider delivers is judged before it is used."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from photopipe_dagster.core.errors import Billed, ErrorCode, ProviderError
from photopipe_dagster.imaging.png import encode_cutout
from photopipe_dagster.pipeline.acceptance import accept_background, accept_cutout


def picture(pixels: np.ndarray, kind: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(
        out, kind, **({"quality": 90} if kind == "JPEG" else {})
    )
    return out.getvalue()


def paper(side: int, level: float = 238, grain: float = 1.2) -> np.ndarray:
    grey = np.random.default_rng(1).normal(level, grain, (side, side, 1))
    shade = np.linspace(0, -6, side)[:, None, None]
    return np.clip(np.repeat(grey + shade, 3, axis=2), 0, 255)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    ("pixels", "wrong"),
    [
        (paper(1), "has only 1×1 pixels"),
        (paper(255), "has only 255×255 pixels"),
        (np.zeros((512, 512, 3)), "is of one colour"),
        (np.full((512, 512, 3), 255), "is of one colour"),
        (np.full((512, 512, 3), (40, 90, 30)), "is of one colour"),
    ],
)
def test_a_background_that_is_none_is_refused_and_owned_up_to(kind, pixels, wrong):
    with pytest.raises(ProviderError, match=wrong) as raised:
        accept_background(picture(pixels, kind), (2048, 2048))
    error = raised.value
    assert (error.code, error.billed) == (ErrorCode.BACKGROUND_ERROR, Billed.YES)
    assert (error.retryable, error.service_down) == (True, True)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("level", [4, 128, 252])
def test_seamless_paper_is_a_background(kind, level):
    _, facts = accept_background(picture(paper(512, level), kind), (2048, 2048))
    assert facts.size == (512, 512)


def written(kind: str, **options: object) -> bytes:
    noise = np.random.default_rng(1).integers(0, 255, (280, 300, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, kind, **options)
    return file.getvalue()


JPEG, PNG, WEBP = written("JPEG"), written("PNG"), written("WEBP")


@pytest.mark.parametrize("data", [JPEG, PNG, WEBP], ids=["JPEG", "PNG", "WEBP"])
def test_a_whole_background_is_taken(data: bytes) -> None:
    jpeg, facts = accept_background(data, (2048, 2048))
    assert jpeg.startswith(b"\xff\xd8")
    assert facts.size == (300, 280)


@pytest.mark.parametrize(
    "data",
    [
        JPEG[:-500],
        JPEG[:4000] + JPEG[4500:],
        PNG[:-500],
        PNG[:4000] + bytes((PNG[4000] ^ 1,)) + PNG[4001:],
        WEBP[:-500],
    ],
    ids=["JPEG cut", "JPEG with a hole", "PNG cut", "PNG with a flipped bit", "WebP cut"],
)
def test_a_damaged_background_is_the_providers_fault(data: bytes) -> None:
    with pytest.raises(ProviderError, match="cannot be read") as caught:
        accept_background(data, (2048, 2048))
    assert (caught.value.billed, caught.value.code) == (Billed.YES, ErrorCode.BACKGROUND_ERROR)


def test_a_damaged_cutout_is_the_providers_fault() -> None:
    png = encode_cutout(np.full((120, 160, 4), 200, np.uint8))
    for data in (png[:-20], png[:60] + b"\0\0" + png[62:], PNG[:-500], b"<html>"):
        with pytest.raises(ProviderError) as caught:
            accept_cutout(data, (160, 120))
        assert caught.value.billed is Billed.YES
        assert caught.value.code is ErrorCode.SEGMENTATION_ERROR


def test_a_small_background_for_a_small_photo_is_one():
    _, facts = accept_background(picture(paper(208), "JPEG"), (320, 208))
    assert facts.size == (208, 208)
