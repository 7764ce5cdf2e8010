"""What will go wrong with a theme, seen from its words and numbers alone."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from photopipe_dagster.imaging.light import Light
from photopipe_dagster.imaging.marketplace import Rules
from photopipe_dagster.imaging.placement import Canvas
from photopipe_dagster.themes.model import Theme

_DATA: Final = tomllib.loads(files(__package__).joinpath("lint.toml").read_text("utf-8"))

_WITHOUT: Final = re.compile(r"\b(?:without|no|not|free of|neither|never)\b[^.;]*", re.I)
"""What a prompt says is not there."""


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that will go wrong.

    Args:
        field: Of the theme (``light.azimuth_degrees``).
        says: What, and what to do.
    """

    field: str
    says: str


def lint(theme: Theme) -> tuple[Warned, ...]:
    """What will go wrong with a theme; nothing of it forbids to save it."""
    found = list(_prompt(theme))
    if theme.prompt and theme.light is not None:
        found += _contradicted(theme.prompt, theme.light)
    if theme.rules is not None:
        found += _rules(theme, theme.rules)
    if theme.scenes and theme.rules is not None:
        yours = f"the rules of {theme.rules.name} ask for a white ground"
        found.append(Warned("scenes", f"Its products stand in a scene, and {yours}: none passes."))
    if not theme.alt:
        found.append(Warned("alt", "It is empty: who cannot see the picture is not told where."))
    return tuple(found)


def _prompt(theme: Theme) -> Iterator[Warned]:
    there = _WITHOUT.sub("", theme.prompt)
    for kind, (words, says) in _DATA["names"].items():
        named = _first(words, there)
        if named:
            yield Warned("prompt", f"It names {kind} ({named!r}): {says}")
    if theme.prompt and theme.light is None:
        yield Warned("light", "There is none: the product has no shadow, and floats in the scene.")
    table = _first(_DATA["table"], there)
    if table and theme.light is not None and theme.light.plain:
        yield Warned(
            "light.plain",
            f"The prompt has a {table!r} with a far edge: a product that lies would hang over it. "
            "Say false.",
        )


def _contradicted(prompt: str, light: Light) -> Iterator[Warned]:
    for rule in _DATA["light"]:
        said = _first(rule["words"], prompt)
        value = getattr(light, rule["field"])
        low, high = rule["range"]
        # An azimuth is a direction: 350 and 10 are close.
        inside = low <= value <= high or low <= value - 360 <= high
        if said and not inside:
            yield Warned(
                f"light.{rule['field']}",
                f"The prompt says {said!r}, and {value:g} is {rule['is']}: the shadow would "
                f"contradict the scene. Set it within {low % 360:g} to {high:g}.",
            )


def _rules(theme: Theme, rules: Rules) -> Iterator[Warned]:
    if theme.background != "white":
        ground = "all of the ground" if rules.white == "ground" else "the picture's border"
        yield Warned(
            "background",
            f"{rules.name} wants {ground} pure white, and this theme has a scene: every picture "
            "would fail. Set background to white, or take the rules away.",
        )
    elif rules.white == "ground" and theme.light is not None:
        yield Warned("light", f"{rules.name} wants a ground without a shadow. Leave the light out.")
    share, canvas = theme.placement.share, Canvas.parse(theme.canvas)
    if share is None or not rules.least_share < share < rules.most_share:
        yield Warned(
            "placement.share",
            f"{rules.name} wants a product that fills {rules.least_share:g} to "
            f"{rules.most_share:g} of the picture. Set it in between.",
        )
    if canvas is not None and canvas.fixed and max(canvas.width, canvas.height) < rules.min_side:
        yield Warned("canvas", f"{rules.name} wants {rules.min_side} pixels or more.")


def _first(words: list[str], text: str) -> str:
    """The first of these words in a text, as it is written there; empty if there is none."""
    found: Any = re.search(rf"\b(?:{'|'.join(words)})\b", text, re.I)
    return found[0] if found else ""
