"""A theme is data: what is written is read as it was, and what is no theme is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from photopipe_dagster.core.errors import InvalidRecordError
from photopipe_dagster.imaging.provenance import SourceType
from photopipe_dagster.pipeline.stages.composite import composite_recipe
from photopipe_dagster.quality.gates import DEFAULT_GATES, AtMost
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster.themes.record import as_file, as_record, differences, read_file, read_theme

KITCHEN = THEMES["kitchen"]


@pytest.mark.parametrize("name", THEMES)
def test_a_theme_is_read_as_it_was_written(name: str) -> None:
    theme = replace(THEMES[name], gates=replace(DEFAULT_GATES, risk=AtMost(0.1, 0.2)))
    assert as_record(theme)["gates"] == {"risk": {"warn": 0.1, "fail": 0.2}}
    again = read_file(as_file(theme))
    assert again == theme
    # The second time to the last digit, so that no recipe changes by storing it.
    recipes = {
        composite_recipe(each, SourceType.COMPOSITE, {})
        for each in (again, read_file(as_file(again)))
    }
    assert len(recipes) == 1


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"prompt": "x" * 100_000}, "prompt: String should have at most 4000"),
        ({"prompt": "a\0b"}, "prompt: .*printed"),
        ({"alt": "a\nb"}, "alt: .*one line"),
        ({"colour": "x"}, "colour: there is no such field"),
        ({"light": {"softnes": 1}}, "light.softnes: there is no such field"),
        ({"light": {"softness": 3}}, "softness is 0 to 1, not 3"),
        ({"light": {"softness": "0.5"}}, "light.softness: .*number"),
        ({"light": {"azimuth_degrees": 400}}, "azimuth_degrees is 0 to 360"),
        ({"light": {"tint": [0, 0]}}, "light.tint.2: is missing"),
        ({"placement": {"share": 0}}, "share is 0.1 to 1"),
        ({"canvas": "1:9"}, "canvas: .*1:4 to 4:1"),
        ({"canvas": "99999x99999"}, "canvas: .*100 to 10000"),
        ({"canvas": "big"}, "canvas: .*2048x2048"),
        ({"name": "Ab_c"}, "name: .*lower-case"),
        ({"name": "../x"}, "name: .*lower-case"),
        ({"gates": {"riskk": {"warn": 1}}}, "gates.riskk: there is no such field"),
        ({"fits": ["giant"]}, "fits.0: .*'small'"),
        ({"rules": {"name": "X"}}, "rules.least_share: is missing"),
        ({str(number): 1 for number in range(9)}, "and 4 more"),
    ],
)
def test_what_is_no_theme_is_refused_by_name_and_never_repeated(changed, says) -> None:
    with pytest.raises(InvalidRecordError, match=says) as caught:
        read_theme(as_record(KITCHEN) | changed)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a: 1",
        b"[" * 50_000,
        b"[1]",
        b'{"format": "photopipe-theme/2", "theme": {}}',
        b'{"format": "photopipe-theme/1"}',
        b'{"format": "photopipe-theme/1", "theme": {}, "more": 1}',
        b'{"format": "photopipe-theme/1", "theme": {"light": {"softness": NaN}}}',
        as_file(KITCHEN).replace(b"kitchen,", b"\xff"),
        b" " * 10_000_000,
    ],
)
def test_what_is_no_file_of_a_theme_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRecordError, match="theme"):
        read_file(data)


def test_differences_name_each_field() -> None:
    assert KITCHEN.light is not None
    other = replace(KITCHEN, light=replace(KITCHEN.light, softness=0.2), canvas="4:5")
    assert differences(KITCHEN, KITCHEN) == {}
    assert differences(KITCHEN, other) == {"light.softness": (0.55, 0.2), "canvas": ("", "4:5")}
    assert "light.cast" in differences(KITCHEN, replace(KITCHEN, light=None))


def test_a_file_is_for_people_and_git() -> None:
    text = as_file(replace(KITCHEN, alt="auf dem Küchentisch")).decode()
    assert "Küchentisch" in text
    assert text.count("\n") > 30
    assert json.loads(text)["theme"]["name"] == "kitchen"
