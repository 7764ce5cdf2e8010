"""Prices, and the days from which they hold."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.providers.base import BackgroundRequest, ProviderContext
from photopipe_dagster.providers.freepik.settings import FreepikSettings
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.runtime.configuration import check_configuration
from photopipe_dagster.runtime.providers import Providers, possible_prices
from photopipe_dagster.themes.registry import ThemeRegistry

CHANGES = "2027-07-01 cutout=0.04; 2027-01-01 cutout=0.03, background_2k=0.06;"


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, freepik_api_key="made-up", **values)


def at(text: str) -> tuple[str, ...]:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    prices = settings(freepik_price_changes=CHANGES).of(FreepikSettings).prices().at(moment)
    return tuple(map(str, prices.values()))


def test_a_price_holds_from_the_beginning_of_its_day():
    assert at("2026-12-31T23:59:59") == ("0.02", "0.05", "0.05", "0.10")
    assert at("2027-01-01T00:00:00") == ("0.03", "0.05", "0.06", "0.10")
    assert at("2027-06-30T23:59:59") == ("0.03", "0.05", "0.06", "0.10")
    assert at("2027-07-01T00:00:00") == ("0.04", "0.05", "0.06", "0.10")


def test_a_day_is_one_in_utc():
    in_tokyo = datetime(2027, 1, 1, 8, tzinfo=timezone(timedelta(hours=9)))
    prices = settings(freepik_price_changes=CHANGES).of(FreepikSettings).prices().at(in_tokyo)
    assert prices["cutout"] == Decimal("0.02")


def test_the_specifications_prices_hold_where_nothing_is_said():
    prices = settings().of(FreepikSettings).prices().at(datetime(2040, 1, 1, tzinfo=UTC))
    assert prices == {
        "cutout": Decimal("0.02"),
        "background_1k": Decimal("0.05"),
        "background_2k": Decimal("0.05"),
        "background_4k": Decimal("0.10"),
    }


OLD, NEW = Decimal("0.07"), Decimal("0.08")


@pytest.mark.parametrize("where", ["environment", ".env", "values"])
def test_the_old_names_of_prices_work_and_the_new_ones_go_before_them(monkeypatch, tmp_path, where):
    def read(**names: str) -> FreepikSettings:
        monkeypatch.chdir(tmp_path)
        (tmp_path / ".env").unlink(missing_ok=True)
        if where == "values":
            return Settings(**{name.lower(): text for name, text in names.items()}).of(
                FreepikSettings
            )
        if where == ".env":
            lines = [f"{name}={text}\n" for name, text in names.items()]
            (tmp_path / ".env").write_text("".join(lines))
        else:
            for name, text in names.items():
                monkeypatch.setenv(name, text)
        return Settings().of(FreepikSettings)

    old = read(
        PRICE_CUTOUT_USD="0.07",
        PRICE_BACKGROUND_1K_USD="0.07",
        PRICE_BACKGROUND_2K_USD="0.07",
        PRICE_BACKGROUND_4K_USD="0.07",
        PRICE_CHANGES="2027-01-01 cutout=0.08",
    )
    assert set(old.prices().first.values()) == {OLD}
    assert old.prices().at(datetime(2027, 1, 1, tzinfo=UTC))["cutout"] == NEW
    both = read(
        PRICE_CUTOUT_USD="0.07",
        FREEPIK_PRICE_CUTOUT_USD="0.08",
        PRICE_CHANGES="2027-01-01 cutout=0.07",
        FREEPIK_PRICE_CHANGES="2027-01-01 cutout=0.08",
    )
    assert both.freepik_price_cutout_usd == NEW
    assert both.prices().at(datetime(2027, 1, 1, tzinfo=UTC))["cutout"] == NEW


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
def test_a_photo_may_cost_what_the_configured_providers_take_on_that_day(chosen, expected):
    read = settings(freepik_price_changes=CHANGES, **chosen)
    prices = possible_prices(read, datetime(2027, 2, 1, tzinfo=UTC))
    assert (" ".join(map(str, prices.cutouts)), " ".join(map(str, prices.backgrounds))) == expected


async def test_what_is_bought_costs_what_holds_today():
    changes = "2020-01-01 cutout=0.07; 2999-01-01 cutout=9"
    providers = Providers(settings(ai_provider="freepik", freepik_price_changes=changes))
    assert providers.cutouts.cutout_price() == Decimal("0.07")
    await providers.aclose()


async def test_a_provider_that_is_open_when_the_day_comes_takes_the_new_price():
    moment = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    read = settings(
        ai_provider="freepik",
        freepik_price_changes="2027-01-01 cutout=0.07, background_2k=0.09",
        freepik_resolution="2k",
    )
    provider = PROVIDERS.get("freepik").open(ProviderContext(read, wall_clock=lambda: moment))
    asked = BackgroundRequest(ThemeRegistry.from_settings(read).get("kitchen"), 1000, 1000, 1)
    before = provider.cutout_price(), provider.background_price(asked)
    moment += timedelta(minutes=1)
    assert (provider.cutout_price(), provider.background_price(asked)) == (
        Decimal("0.07"),
        Decimal("0.09"),
    )
    assert before == (Decimal("0.02"), Decimal("0.05"))
    await provider.aclose()


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
    monkeypatch.setenv("FREEPIK_PRICE_CHANGES", changes)
    with pytest.raises(ValidationError, match=says) as caught:
        check_configuration(settings())
    (problem,) = caught.value.errors()
    assert problem["loc"] == ("freepik_price_changes",)


def test_settings_with_changes_can_be_a_key():
    assert hash(settings(freepik_price_changes=CHANGES)) == hash(
        settings(freepik_price_changes=CHANGES)
    )
