"""Themes name a scene, a light and a place; presets keep to their marketplaces' numbers."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from photopipe_dagster.core.errors import ConfigurationError, PhotoRejectedError
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.placement import Canvas
from photopipe_dagster.publishing.publish import alt_text
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster.themes.model import Theme
from photopipe_dagster.themes.registry import ThemeRegistry, ThemeRevision, check_names

LIMIT = 512
ALL = pytest.mark.parametrize("look", THEMES.values(), ids=lambda look: look.name)


@ALL
def test_a_theme_is_complete(look: Theme) -> None:
    assert ThemeRegistry(THEMES.values()).get(look.name) is look
    assert re.fullmatch(r"[a-z0-9-]+", look.name)
    key = PhotoKey("SKU-1", "a" * 64, look.name)
    assert PhotoKey.parse(key.partition_key) == key
    assert (look.prompt == "") == (look.background == "white")
    assert look.alt == look.alt.strip().rstrip(".")
    assert (look.canvas == "") == (Canvas.parse(look.canvas) is None)
    assert look.name in ThemeRegistry.from_settings(Settings(_env_file=None)).offered


@ALL
def test_a_preset_asks_for_what_its_rules_want(look: Theme) -> None:
    rules, canvas = look.rules, Canvas.parse(look.canvas)
    if rules is None:
        return
    assert look.background == "white"
    assert look.placement.share is not None
    assert rules.least_share < look.placement.share < rules.most_share
    assert canvas is not None
    assert max(canvas.width, canvas.height) >= rules.min_side
    assert look.placement.min_side >= rules.min_side
    assert rules.white == "border" or look.light is None


def test_the_presets_of_marketplaces_are_there() -> None:
    assert {"amazon-main", "google", "shopify-square"} < set(THEMES)


def test_an_unknown_theme_is_rejected() -> None:
    registry = ThemeRegistry(THEMES.values(), offered=("kitchen",), default="kitchen")
    for find in (registry.get, registry.offer):
        with pytest.raises(PhotoRejectedError, match="kitchen"):
            find("moon")


def test_a_theme_that_is_no_longer_offered_works_for_the_photos_that_have_it() -> None:
    registry = ThemeRegistry(THEMES.values(), offered=("kitchen",), default="kitchen")
    assert registry.get("luxury") is THEMES["luxury"]
    assert registry.offer(None) is THEMES["kitchen"]
    with pytest.raises(PhotoRejectedError, match="'luxury' is not one of kitchen"):
        registry.offer("luxury")


@pytest.mark.parametrize(
    ("offered", "default", "named"),
    [(("moon",), "default", "SUPPORTED_THEMES"), (("kitchen",), "default", "DEFAULT_THEME")],
)
def test_a_setting_that_names_no_theme_is_refused(
    offered: tuple[str, ...], default: str, named: str
) -> None:
    settings = Settings(_env_file=None, supported_themes=offered, default_theme=default)
    with pytest.raises(ConfigurationError, match=named):
        ThemeRegistry.from_settings(settings)


def test_the_alt_text_says_what_is_shown_and_where() -> None:
    told = alt_text("Brass table lamp", THEMES["kitchen"], LIMIT)
    assert told == "Brass table lamp on a marble kitchen counter"
    assert (
        alt_text("  Cup \n and  saucer ", THEMES["google"], LIMIT)
        == "Cup and saucer on a white ground"
    )
    assert alt_text("", THEMES["luxury"], LIMIT) == "Product on polished black stone"


@ALL
def test_a_long_title_is_cut_between_words(look: Theme) -> None:
    told = alt_text("Wonderful " * 100, look, LIMIT)
    assert len(told) <= LIMIT
    assert len(told) > LIMIT - len("Wonderful ")
    assert told.removesuffix(look.alt).split() == ["Wonderful"] * told.count("Wonderful")
    exact = "x" * (LIMIT - len(look.alt) - 1)
    assert alt_text(exact, look, LIMIT) == f"{exact} {look.alt}"
    assert len(alt_text("x" * 600, look, LIMIT)) == LIMIT
    assert alt_text("Lamp", look, len(look.alt)) == look.alt
    assert alt_text("Lamp", look, 5) == look.alt[:5]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("{title}", "Brass lamp"),
        ("{title} ({sku}), {theme}", "Brass lamp (L-1), kitchen"),
        ("{scene}: {title}", f"{THEMES['kitchen'].alt}: Brass lamp"),
        ("A photo", "A photo"),
    ],
)
def test_the_shop_says_what_alt_texts_say(pattern: str, said: str) -> None:
    assert Settings(_env_file=None, publish_alt_text=pattern).publish_alt_text == pattern
    told = alt_text("Brass  lamp", THEMES["kitchen"], LIMIT, pattern=pattern, sku="L-1")
    assert told == said
    long = alt_text("long " * 200, THEMES["kitchen"], LIMIT, pattern=pattern, sku="L-1")
    assert len(long) <= LIMIT
    if "{scene}" in pattern:
        assert THEMES["kitchen"].alt in long


@pytest.mark.parametrize("pattern", ["{name}", "{", "{0}", "{title.x}"])
def test_an_alt_text_that_cannot_be_filled_in_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError, match="no other braces"):
        Settings(_env_file=None, publish_alt_text=pattern)


def made(name: str, *, archived: bool = False) -> ThemeRevision:
    theme = replace(THEMES["luxury"], name=name)
    return ThemeRevision(theme, 1, archived, "Ann", datetime(2026, 11, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("named", "default", "expected"),
    [
        ((), "default", (*THEMES, "mine")),
        (("kitchen", "default"), "default", ("kitchen", "default", "mine")),
        (("kitchen",), "mine", ("kitchen", "mine")),
        (("mine", "kitchen", "gone"), "kitchen", ("mine", "kitchen")),
    ],
)
def test_what_a_shop_makes_is_offered_unless_it_is_archived(named, default, expected) -> None:
    settings = Settings(_env_file=None, supported_themes=named, default_theme=default)
    own = [made("mine"), made("gone", archived=True)]
    registry = ThemeRegistry.from_settings(settings, own)
    assert (registry.offered, registry.default) == (expected, default)
    check_names(settings)


def test_an_archived_theme_is_no_default() -> None:
    with pytest.raises(ConfigurationError, match="DEFAULT_THEME"):
        ThemeRegistry(THEMES.values(), default="gone", own=[made("gone", archived=True)])


def test_a_theme_of_the_shop_stays_when_one_of_its_name_ships() -> None:
    registry = ThemeRegistry(THEMES.values(), own=[made("kitchen")])
    assert registry.get("kitchen").alt == THEMES["luxury"].alt
    assert registry.offered == tuple(THEMES)
