"""What Stability AI is asked for, and how strict its simulator is."""

import httpx
import pytest

from photopipe_dagster.core.errors import Billed, ErrorCode, PhotoRejectedError, ProviderError
from photopipe_dagster_tests.support.world import photo_of_a_mug
from photopipe_dagster_tests.unit.providers.remote.simulated import PHOTO, Maker

PLUGIN = "stability"
KEY = {"Authorization": "Bearer sk-sandbox-stability", "Accept": "image/*"}
REMOVE = "/v2beta/stable-image/edit/remove-background"
CORE = "/v2beta/stable-image/generate/core"
PROMPT = {"prompt": (None, "a")}
AS_JSON = {"Accept": "application/json"}


@pytest.mark.parametrize("job", ["cutout", "background"])
async def test_what_its_filter_blurs_is_paid_and_of_no_use(maker: Maker, job):
    maker.books.next_answer = "filtered"
    with pytest.raises(ProviderError, match="not safe for work") as caught:
        await maker.make(job)
    assert (caught.value.billed, caught.value.retryable) == (Billed.YES, False)
    assert len(maker.books.charges) == 1
    maker.shows_no_secret(caught.value)


async def test_ultra_takes_its_own_price(maker: Maker):
    made = await maker.make("background", stability_background_model="ultra")
    assert made.model == "stability/ultra"
    assert str(maker.books.spent_usd) == "0.08"


async def test_a_photo_is_sent_smaller_if_it_must_be_and_keeps_its_own_pixels(maker: Maker):
    made = await maker.make("cutout", photo=photo_of_a_mug(1, 2200), size=(2200, 2200))
    assert made.picture.shape == (2200, 2200, 4)
    assert made.metadata["delivered_width"] < 2200


async def test_a_photo_that_is_too_small_is_not_sent(maker: Maker):
    with pytest.raises(PhotoRejectedError, match="64"):
        await maker.make("cutout", photo=photo_of_a_mug(1, 60), size=(60, 60))


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        ("moderated", ErrorCode.API_ERROR, "STABILITY_API_KEY"),
        (None, ErrorCode.API_ERROR, "top them up"),
    ],
)
async def test_a_refusal_costs_nothing(maker: Maker, answer, code, says):
    maker.books.next_answer, maker.books.out_of_money = answer, answer is None
    with pytest.raises(ProviderError, match=says) as caught:
        await maker.make("background")
    assert (caught.value.code, caught.value.billed) == (code, Billed.NO)


@pytest.mark.parametrize(
    ("status", "path", "sent"),
    [
        (
            401,
            CORE,
            {"headers": {"Authorization": "Bearer wrong"}, "files": PROMPT},
        ),
        (400, CORE, {"data": {"prompt": "a"}}),
        (400, CORE, {"files": {"style": (None, "a"), "prompt": (None, "a")}}),
        (400, CORE, {"files": {"prompt": (None, "a"), "aspect_ratio": (None, "7:3")}}),
        (400, CORE, {"files": {"prompt": (None, "a"), "seed": (None, "-1")}}),
        (400, CORE, {"files": {"prompt": (None, "a" * 10_001)}}),
        (400, REMOVE, {"files": {"image": b"no picture"}}),
        (400, REMOVE, {"files": {"image": photo_of_a_mug(1, 60)}}),
        (400, REMOVE, {"files": {"image": PHOTO}, "data": {"output_format": "jpeg"}}),
        (400, REMOVE, {"files": {"image": photo_of_a_mug(1, 2200)}}),
        (413, REMOVE, {"files": {"image": bytes(10 * 1024 * 1024)}}),
    ],
)
def test_the_simulator_is_strict_and_charges_nothing_for_it(maker: Maker, status, path, sent):
    answer = httpx.post(f"{maker.url}{path}", **{"headers": KEY, **sent})
    assert answer.status_code == status
    assert maker.books.charges == []


def test_the_simulator_answers_with_json_or_the_picture(maker: Maker):
    told = httpx.post(f"{maker.url}{CORE}", headers=KEY | AS_JSON, files=PROMPT)
    assert told.headers["content-type"] == "application/json; type=image/png"
    assert set(told.json()) == {"image", "finish_reason", "seed"}
    shown = httpx.post(f"{maker.url}{CORE}", headers=KEY, files=PROMPT)
    assert (shown.headers["finish-reason"], shown.content[:4]) == ("SUCCESS", b"\x89PNG")


def test_the_simulator_is_asked_no_more_often_than_150_times_in_10_seconds(maker: Maker):
    assert not any(maker.books.too_many(150, 10) for _ in range(150))
    assert httpx.post(f"{maker.url}{CORE}", headers=KEY).status_code == 429
    maker.sandbox.state.clock.advance(11)
    assert httpx.post(f"{maker.url}{CORE}", headers=KEY).status_code == 400
