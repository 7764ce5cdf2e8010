"""What fal is asked for, and how strict its simulator is."""

from decimal import Decimal

import httpx
import pytest

from photopipe_dagster.core.errors import Billed, ConfigurationError, ErrorCode, ProviderError
from photopipe_dagster.providers.base import StillRunningError
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster_tests.support.wire import Wire
from photopipe_dagster_tests.unit.providers.remote.simulated import PHOTO, Maker

PLUGIN = "fal"
KEY = {"Authorization": "Key sandbox-fal-key"}
FLUX = "/queue/fal-ai/flux/schnell"


async def test_a_photo_is_uploaded_and_the_units_are_booked(maker: Maker):
    await maker.make("cutout", fal_price_cutout_usd="0.05")
    [order] = maker.books.orders.values()
    assert maker.books.files[order.input["image_url"].rpartition("/")[2]][0] == PHOTO
    assert order.input["sync_mode"] is False, "else its result is not kept"
    assert maker.purchase.cost == Decimal("0.05")


async def test_a_background_is_a_megapixel_and_made_from_words_alone(maker: Maker):
    await maker.make("background")
    [order] = maker.books.orders.values()
    assert order.input["image_size"] == {"width": 512, "height": 512}
    assert order.input["seed"] == 7
    assert "image_url" not in order.input


@pytest.mark.parametrize(
    ("answer", "billed", "retryable"),
    [
        ("runner_scheduling_failure", Billed.NO, True),
        ("generation_timeout", Billed.NO, True),
        ("image_too_large", Billed.UNKNOWN, False),
        ("content_policy_violation", Billed.UNKNOWN, False),
        ("nsfw", Billed.YES, False),
    ],
)
async def test_a_request_without_a_picture_is_booked_as_it_ended(
    maker: Maker, answer, billed, retryable
):
    maker.books.next_answer = answer
    with pytest.raises(ProviderError) as caught:
        await maker.make("background")
    error = caught.value
    assert (error.billed, error.retryable) == (billed, retryable)
    assert error.code is ErrorCode.BACKGROUND_ERROR
    maker.shows_no_secret(error)


async def test_a_locked_account_has_no_credit(maker: Maker):
    maker.books.out_of_money = True
    with pytest.raises(ProviderError, match="top them up") as caught:
        await maker.make("background")
    assert (caught.value.details["status"], caught.value.billed) == (402, Billed.NO)


async def test_a_picture_elsewhere_is_not_fetched(maker: Maker):
    asked = []

    def elsewhere(request: httpx.Request) -> httpx.Response | None:
        asked.append(request.url.host)
        if request.method == "GET" and request.url.path.endswith(tuple(maker.books.orders)):
            picture = {"url": "https://attacker.example/a.png"}
            return httpx.Response(200, json={"images": [picture]})
        return None

    with pytest.raises(StillRunningError, match=r"attacker\.example"):
        await maker.make("background", transport=Wire(elsewhere))
    assert "attacker.example" not in asked


@pytest.mark.parametrize("variable", ["fal_cutout_model", "fal_background_model"])
def test_a_model_that_is_not_known_is_named(maker: Maker, variable):
    with pytest.raises(ConfigurationError, match=variable.upper()):
        PROVIDERS.get("fal").check(maker.settings(**{variable: "somebody/else"}))


@pytest.mark.parametrize(
    ("status", "path", "body", "headers"),
    [
        (401, FLUX, {"prompt": "a"}, {"Authorization": "Bearer sandbox-fal-key"}),
        (404, "/queue/fal-ai/nobody", {"prompt": "a"}, KEY),
        (422, FLUX, {}, KEY),
        (422, FLUX, {"prompt": "a", "negative_prompt": "b"}, KEY),
        (422, FLUX, {"prompt": "a", "seed": "7"}, KEY),
        (422, FLUX, {"prompt": "a", "num_images": 5}, KEY),
        (422, "/queue/fal-ai/birefnet/v2", {"image_url": "a", "model": "Best"}, KEY),
    ],
)
def test_the_simulator_is_strict_and_charges_nothing_for_it(
    maker: Maker, status, path, body, headers
):
    assert httpx.post(f"{maker.url}{path}", json=body, headers=headers).status_code == status
    assert maker.books.charges == []


def test_the_simulator_says_202_until_it_has_ended_and_forgets_after_an_hour(maker: Maker):
    with httpx.Client(headers=KEY) as api:
        made = api.post(f"{maker.url}{FLUX}", json={"prompt": "a"}).json()
        assert made["status"] == "IN_QUEUE"
        assert api.get(made["response_url"]).status_code == 400
        looks = [api.get(made["status_url"]) for _ in range(3)]
        assert [look.status_code for look in looks] == [202, 202, 200]
        result = api.get(made["response_url"])
        assert result.headers["x-fal-billable-units"] == "1"
        maker.sandbox.state.clock.advance(3601)
        assert api.get(made["response_url"]).status_code == 404
