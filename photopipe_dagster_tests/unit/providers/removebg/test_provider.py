"""What remove.bg is asked for, and how strict its simulator is."""

from decimal import Decimal

import httpx
import pytest

from photopipe_dagster.core.errors import Billed, ErrorCode, ProviderError
from photopipe_dagster.pipeline.acceptance import accept_cutout
from photopipe_dagster.providers.removebg import provider
from photopipe_dagster.sandbox.providers import removebg as simulator
from photopipe_dagster_tests.unit.providers.remote.simulated import PHOTO, Maker

PLUGIN = "removebg"
KEY = {"X-Api-Key": "sandbox-removebg-key"}
FILE = {"image_file": PHOTO}


async def test_the_credits_that_it_says_are_booked(maker: Maker):
    made = await maker.make("cutout", removebg_price_cutout_usd="0.07")
    assert maker.purchase.cost == Decimal("0.07")
    assert made.metadata["credits"] == "1"


async def test_a_large_photo_comes_as_colour_and_alpha_apart(maker: Maker, monkeypatch):
    for module in (provider, simulator):
        name = "_PNG_PIXELS" if module is provider else "PNG_PIXELS"
        monkeypatch.setattr(module, name, 10_000)
    made = await maker.make("cutout")
    assert accept_cutout(made.picture, (240, 240)).picture.box == pytest.approx(
        (60, 70, 200, 200), abs=12
    )


async def test_a_photo_without_a_product_costs_nothing_and_is_not_tried_again(maker: Maker):
    maker.books.next_answer = "unknown_foreground"
    with pytest.raises(ProviderError, match="Could not identify foreground") as caught:
        await maker.make("cutout")
    error = caught.value
    assert (error.code, error.billed) == (ErrorCode.SEGMENTATION_ERROR, Billed.NO)
    assert not error.retryable
    maker.shows_no_secret(error)


async def test_an_empty_balance_is_told_and_no_preview_bought(maker: Maker):
    maker.books.out_of_money = True
    with pytest.raises(ProviderError, match="top them up"):
        await maker.make("cutout")
    assert maker.books.charges == []


@pytest.mark.parametrize(
    ("status", "code", "sent"),
    [
        (403, "auth_failed", {"headers": {"X-Api-Key": "wrong"}, "files": FILE}),
        (400, "missing_source", {"data": {"size": "full"}}),
        (400, "multiple_sources", {"files": FILE, "data": {"image_url": "https://a.example/b"}}),
        (400, "invalid_size", {"files": FILE, "data": {"size": "huge"}}),
        (400, "invalid_unknown", {"files": FILE, "data": {"unknown": "1"}}),
        (400, "failed_to_read_image", {"files": {"image_file": b"no picture"}}),
        (400, "file_too_large", {"files": {"image_file": bytes(22_000_001)}}),
    ],
)
def test_the_simulator_is_strict_and_charges_nothing_for_it(maker: Maker, status, code, sent):
    answer = httpx.post(f"{maker.url}/v1.0/removebg", **{"headers": KEY, **sent})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)
    assert maker.books.charges == []


def test_the_simulator_takes_a_quarter_of_a_credit_for_a_preview(maker: Maker):
    answer = httpx.post(f"{maker.url}/v1.0/removebg", headers=KEY, files=FILE)
    assert answer.headers["x-credits-charged"] == "0.25"
    assert maker.books.spent_usd == Decimal("0.05")
