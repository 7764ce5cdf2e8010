"""What will go wrong with a theme is said before a picture is made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from photopipe_dagster.imaging.light import Light
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster.themes.lint import lint

KITCHEN, GOOGLE = THEMES["kitchen"], THEMES["google"]


@pytest.mark.parametrize("name", THEMES)
def test_nothing_is_wrong_with_what_ships(name: str) -> None:
    assert lint(THEMES[name]) == ()


@pytest.mark.parametrize(
    ("prompt", "field"),
    [
        ("A beach with a bottle on the sand.", "prompt"),
        ("A street with people walking by.", "prompt"),
        ("A wall with a neon sign.", "prompt"),
        ("A wall with our logo.", "prompt"),
        ("A beach, backlit.", "light.azimuth_degrees"),
        ("A beach, sun from the right.", "light.azimuth_degrees"),
        ("A beach, sun from the upper left.", None),
        ("A beach at noon.", "light.elevation_degrees"),
        ("A beach in harsh sun.", "light.softness"),
        ("A glossy floor.", "light.reflection"),
        ("An oak table.", "light.plain"),
        ("A beach without people, bottles or a logo.", None),
    ],
)
def test_a_prompt_is_compared_with_what_it_leads_to(prompt: str, field: str | None) -> None:
    light = Light(azimuth_degrees=300, elevation_degrees=46, softness=0.7, plain=True)
    found = lint(replace(KITCHEN, prompt=prompt, light=light))
    assert [each.field for each in found] == ([] if field is None else [field])


def test_directions_go_around() -> None:
    behind = replace(KITCHEN, prompt="Backlit.", light=Light(azimuth_degrees=340))
    assert lint(behind) == ()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"background": None}, "background"),
        ({"light": Light()}, "light"),
        ({"placement": KITCHEN.placement}, "placement.share"),
        ({"canvas": "300x300"}, "canvas"),
        ({"alt": ""}, "alt"),
        ({"scenes": ("table",)}, "scenes"),
    ],
)
def test_the_rules_of_a_marketplace_are_held_against_the_theme(changed, field) -> None:
    assert [each.field for each in lint(replace(GOOGLE, **changed))] == [field]


def test_a_scene_without_a_shadow_is_told() -> None:
    assert [each.field for each in lint(replace(KITCHEN, light=None))] == ["light"]
