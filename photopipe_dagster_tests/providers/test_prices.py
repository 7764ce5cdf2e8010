"""Prices, and the days from which they hold."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.providers.factory import make_providers
from photopipe_dagster.providers.prices import PriceList, Tariff

CHANGES = "2027-07-01 cutout=0.04; 2027-01-01 cutout=0.03, background_2k=0.06;"


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, freepik_api_key="made-up", **values)


def at(text: str) -> tuple[str, ...]:
    prices = PriceList.from_settings(settings(price_changes=CHANGES)).at(
        datetime.fromisoformat(text).replace(tzinfo=UTC)
    )
    return tuple(map(str, (prices.cutout, *prices.backgrounds.values())))


def test_a_price_holds_from_the_beginning_of_its_day():
    assert at("2026-12-31T23:59:59") == ("0.02", "0.05", "0.05", "0.10")
    assert at("2027-01-01T00:00:00") == ("0.03", "0.05", "0.06", "0.10")
    assert at("2027-06-30T23:59:59") == ("0.03", "0.05", "0.06", "0.10")
    assert at("2027-07-01T00:00:00") == ("0.04", "0.05", "0.06", "0.10")


def test_a_day_is_one_in_utc():
    in_tokyo = datetime(2027, 1, 1, 8, tzinfo=timezone(timedelta(hours=9)))
    prices = PriceList.from_settings(settings(price_changes=CHANGES)).at(in_tokyo)
    assert prices.cutout == Decimal("0.02")


def test_the_specifications_prices_hold_where_nothing_is_said():
    prices = PriceList.from_settings(settings()).at(datetime(2040, 1, 1, tzinfo=UTC))
    assert prices.cutout == Decimal("0.02")
    assert prices.backgrounds == {
        "1k": Decimal("0.05"),
        "2k": Decimal("0.05"),
        "4k": Decimal("0.10"),
    }


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"ai_provider": "freepik"}, ("0.03", "0.05 0.06 0.10")),
        ({"ai_provider": "freepik", "freepik_resolution": "2k"}, ("0.03", "0.06")),
        ({"cutout_provider": "freepik"}, ("0.03", "0")),
        ({"background_provider": "freepik", "freepik_resolution": "4k"}, ("0", "0.10")),
        ({}, ("0", "0")),
    ],
)
def test_the_tariff_is_of_the_configured_providers_on_that_day(chosen, expected):
    tariff = Tariff.at(datetime(2027, 2, 1, tzinfo=UTC), settings(price_changes=CHANGES, **chosen))
    assert (str(tariff.cutout), " ".join(map(str, tariff.backgrounds))) == expected


async def test_what_is_bought_costs_what_holds_today():
    changes = "2020-01-01 cutout=0.07; 2999-01-01 cutout=9"
    providers = make_providers(settings(ai_provider="freepik", price_changes=changes))
    assert providers.cutouts.cutout_price() == Decimal("0.07")
    await providers.aclose()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ("2027-13-01 cutout=1", "2027-13-01"),
        ("cutout=1", "must begin with a day|gives a price to ''"),
        ("20270101 cutout=1", "20270101"),
        ("2027-01-01", "gives a price to ''"),
        ("2027-01-01 cutouts=1", "cutout, background_1k"),
        ("2027-01-01 cutout=cheap", "'cheap' where USD must stand"),
        ("2027-01-01 cutout=-1", "'-1'"),
        ("2027-01-01 cutout=NaN", "'NaN'"),
        ("2027-01-01 cutout=0.0000001", "a millionth"),
        ("2027-01-01 cutout=1, cutout=2", "two prices"),
        ("2027-01-01 cutout=1; 2027-01-01 background_1k=2", "twice"),
    ],
)
def test_what_is_no_change_is_refused_and_says_why(monkeypatch, changes, says):
    monkeypatch.setenv("PRICE_CHANGES", changes)
    with pytest.raises(ValidationError, match=says) as caught:
        settings()
    (problem,) = caught.value.errors()
    assert problem["loc"] == ("price_changes",)


def test_settings_with_changes_can_be_a_key():
    assert hash(settings(price_changes=CHANGES)) == hash(settings(price_changes=CHANGES))
