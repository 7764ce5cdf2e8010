"""What a provider delivers is judged before it is used."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from photopipe_dagster.core.errors import Billed, ErrorCode, ProviderError
from photopipe_dagster.pipeline.acceptance import accept_background


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
        accept_background(picture(pixels, kind))
    error = raised.value
    assert (error.code, error.billed) == (ErrorCode.BACKGROUND_ERROR, Billed.YES)
    assert (error.retryable, error.service_down) == (True, True)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("level", [4, 128, 252])
def test_seamless_paper_is_a_background(kind, level):
    _, facts = accept_background(picture(paper(512, level), kind))
    assert facts.size == (512, 512)
