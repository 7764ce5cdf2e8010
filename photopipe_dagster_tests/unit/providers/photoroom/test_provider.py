"""What Photoroom is asked for, and how strict its simulator is."""

import httpx
import pytest

from photopipe_dagster.core.errors import Billed, ProviderError
from photopipe_dagster_tests.unit.providers.remote.simulated import PHOTO, Maker

PLUGIN = "photoroom"
KEY = {"x-api-key": "photoroom-simulator-key"}
SEGMENT = "/sdk/v1/segment"
EDIT = "/image-api/v2/edit"
FILE = {"image_file": PHOTO}


async def test_how_unsure_it_is_is_told(maker: Maker):
    assert (await maker.make("cutout")).metadata["uncertainty"] == "0.05"
    maker.books.next_answer = "people"
    assert (await maker.make("cutout")).metadata["uncertainty"] == "-1"


async def test_a_picture_that_does_not_heed_what_was_asked_is_paid_and_of_no_use(maker: Maker):
    maker.books.next_answer = "ignored"
    with pytest.raises(ProviderError, match="without heeding") as caught:
        await maker.make("background")
    assert caught.value.billed is Billed.YES
    maker.shows_no_secret(caught.value)


@pytest.mark.parametrize(
    ("job", "says"), [("cutout", "images left"), ("background", "top them up")]
)
async def test_an_empty_balance_is_told(maker: Maker, job, says):
    maker.books.out_of_money = True
    with pytest.raises(ProviderError, match=says) as caught:
        await maker.make(job)
    assert caught.value.billed is Billed.NO
    maker.shows_no_secret(caught.value)


@pytest.mark.parametrize(
    ("status", "path", "sent"),
    [
        (403, SEGMENT, {"headers": {"x-api-key": "wrong"}, "files": FILE}),
        (403, EDIT, {"headers": {"Authorization": "photoroom-simulator-key"}}),
        (400, SEGMENT, {"data": {"format": "png"}}),
        (400, SEGMENT, {"files": FILE, "data": {"crop": "True"}}),
        (400, SEGMENT, {"files": FILE, "data": {"size": "8k"}}),
        (400, SEGMENT, {"files": {"image_file": b"no picture"}}),
        (400, EDIT, {"files": {"imageFile": PHOTO}}),
        (400, EDIT, {"files": {"imageFromPrompt.prompt": (None, "a"), "x": (None, "b")}}),
        (
            400,
            EDIT,
            {
                "files": {
                    "imageFromPrompt.prompt": (None, "a"),
                    "imageFromPrompt.size": (None, "SQUARE"),
                }
            },
        ),
    ],
)
def test_the_simulator_is_strict_and_charges_nothing_for_it(maker: Maker, status, path, sent):
    assert httpx.post(f"{maker.url}{path}", **{"headers": KEY, **sent}).status_code == status
    assert maker.books.charges == []


def test_the_simulator_is_asked_no_more_often_than_60_times_a_minute(maker: Maker):
    assert not any(maker.books.too_many(60, 60) for _ in range(60))
    assert httpx.post(f"{maker.url}{SEGMENT}", headers=KEY).status_code == 429
