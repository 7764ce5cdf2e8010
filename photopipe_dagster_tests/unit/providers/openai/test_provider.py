"""What OpenAI is asked for, and how strict its simulator is."""

from decimal import Decimal

import httpx
import pytest

from photopipe_dagster.core.errors import Billed, ErrorCode, ProviderError
from photopipe_dagster_tests.support.wire import Wire
from photopipe_dagster_tests.unit.providers.remote.simulated import Maker

PLUGIN = "openai"
KEY = {"Authorization": "Bearer sk-sandbox-openai"}
ASKED = {"model": "gpt-image-2", "prompt": "a"}


@pytest.mark.parametrize(("quality", "usd"), [("low", "0.0091"), ("high", "0.18634")])
async def test_what_was_used_is_booked(maker: Maker, quality, usd):
    made = await maker.make("background", openai_quality=quality)
    assert maker.purchase.cost == maker.books.spent_usd == Decimal(usd)
    assert (made.model, made.content_type) == ("openai/gpt-image-2", "image/png")


async def test_an_answer_that_does_not_say_what_was_used_is_booked_as_reserved(maker: Maker):
    def silent(request: httpx.Request) -> httpx.Response | None:
        if request.method != "POST":
            return None
        answer = httpx.post(str(request.url), headers=KEY, json=ASKED).json()
        return httpx.Response(200, json={"data": answer["data"]})

    await maker.make("background", transport=Wire(silent))
    assert maker.purchase.cost is None


@pytest.mark.parametrize(("stage", "billed"), [("input", Billed.NO), ("output", Billed.UNKNOWN)])
async def test_what_is_blocked_is_billed_by_its_stage(maker: Maker, stage, billed):
    maker.books.next_answer = stage
    with pytest.raises(ProviderError, match="not safe for work") as caught:
        await maker.make("background")
    error = caught.value
    assert (error.code, error.billed) == (ErrorCode.BACKGROUND_ERROR, billed)
    assert not error.retryable
    maker.shows_no_secret(error)


async def test_an_empty_balance_is_no_rate_limit(maker: Maker):
    maker.books.out_of_money = True
    with pytest.raises(ProviderError, match="top them up") as caught:
        await maker.make("background")
    assert (caught.value.details["status"], caught.value.billed) == (402, Billed.NO)


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (401, ASKED, {"Authorization": "Bearer wrong"}),
        (400, {"model": "gpt-image-2"}, KEY),
        (400, ASKED | {"seed": 7}, KEY),
        (400, ASKED | {"response_format": "b64_json"}, KEY),
        (400, ASKED | {"size": "1000x1000"}, KEY),
        (400, ASKED | {"n": "1"}, KEY),
        (400, ASKED | {"prompt": "a" * 32_001}, KEY),
        (404, ASKED | {"model": "dall-e-9"}, KEY),
    ],
)
def test_the_simulator_is_strict_and_charges_nothing_for_it(maker: Maker, status, body, headers):
    url = f"{maker.url}/v1/images/generations"
    assert httpx.post(url, json=body, headers=headers).status_code == status
    assert maker.books.charges == []
