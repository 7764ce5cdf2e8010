"""What Gemini is asked for, and how strict its simulator is."""

from decimal import Decimal

import httpx
import pytest

from photopipe_dagster.core.errors import Billed, ErrorCode, ProviderError
from photopipe_dagster_tests.support.wire import Wire
from photopipe_dagster_tests.unit.providers.remote.simulated import Maker

PLUGIN = "gemini"
KEY = {"x-goog-api-key": "sandbox-gemini-key"}
ASKED = {"contents": [{"role": "user", "parts": [{"text": "a"}]}]}
MODEL = "gemini-nano-banana-2.1"


@pytest.mark.parametrize(("size", "usd"), [("1K", "0.033618"), ("4K", "0.113418")])
async def test_what_was_used_is_booked_and_no_thought_is_taken(maker: Maker, size, usd):
    made = await maker.make("background", gemini_image_size=size)
    assert maker.purchase.cost == maker.books.spent_usd == Decimal(usd)
    assert made.content_type == "image/png"


@pytest.mark.parametrize(
    ("answer", "says", "retryable"),
    [
        ("PROMPT", "not safe for work", False),
        ("IMAGE_SAFETY", "not safe for work", False),
        ("TEXT", "STOP", True),
        ("NO_IMAGE", "NO_IMAGE", True),
    ],
)
async def test_a_success_without_a_picture_is_booked_by_what_was_used(
    maker: Maker, answer, says, retryable
):
    maker.books.next_answer = answer
    with pytest.raises(ProviderError, match=says) as caught:
        await maker.make("background")
    error = caught.value
    assert (error.billed, error.retryable) == (Billed.NO, retryable)
    assert error.code is ErrorCode.BACKGROUND_ERROR
    maker.shows_no_secret(error)


@pytest.mark.parametrize(
    ("used", "billed"),
    [(None, Billed.UNKNOWN), ({"candidatesTokenCount": 9}, Billed.YES)],
)
async def test_where_it_does_not_say_what_was_used_nobody_knows(maker: Maker, used, billed):
    body = {"candidates": [{"finishReason": "RECITATION"}]}
    if used:
        body["usageMetadata"] = used
    answer = Wire(lambda _: httpx.Response(200, json=body))
    with pytest.raises(ProviderError) as caught:
        await maker.make("background", transport=answer)
    assert caught.value.billed is billed


async def test_billing_that_is_not_set_up_is_told(maker: Maker):
    maker.books.out_of_money = True
    with pytest.raises(ProviderError, match="top them up") as caught:
        await maker.make("background")
    assert caught.value.details["status"] == 402


@pytest.mark.parametrize(
    ("status", "model", "body", "headers"),
    [
        (403, MODEL, ASKED, {"x-goog-api-key": "wrong"}),
        (404, "gemini-2.5-flash-image", ASKED, KEY),
        (400, MODEL, {}, KEY),
        (400, MODEL, ASKED | {"prompt": "a"}, KEY),
        (400, MODEL, ASKED | {"generationConfig": {"outputMimeType": "image/png"}}, KEY),
        (400, MODEL, ASKED | {"generationConfig": {"imageConfig": {"imageSize": "1k"}}}, KEY),
        (400, MODEL, ASKED | {"generationConfig": {"imageConfig": {"aspectRatio": "7:3"}}}, KEY),
    ],
)
def test_the_simulator_is_strict_and_charges_nothing_for_it(
    maker: Maker, status, model, body, headers
):
    url = f"{maker.url}/v1beta/models/{model}:generateContent"
    assert httpx.post(url, json=body, headers=headers).status_code == status
    assert maker.books.charges == []
