"""What a theme is: the scene in words, its light, the product's place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, Field

from photopipe_dagster.core.json_text import STRICT
from photopipe_dagster.imaging.light import Light
from photopipe_dagster.imaging.marketplace import Rules
from photopipe_dagster.imaging.placement import AS_PHOTOGRAPHED, Canvas, Placement, Scale
from photopipe_dagster.quality.gates import DEFAULT_GATES, Gates


class Size(StrEnum):
    """How large a product is in life."""

    SMALL = "small"
    """It stands on a table."""
    MEDIUM = "medium"
    """A person carries it, and puts it on the floor."""
    LARGE = "large"
    """Furniture, vehicles."""


EVERY_SIZE: Final = tuple(Size)

MAX_PROMPT_CHARACTERS: Final = 4000

_NARROWEST: Final = 4
"""How many times as long as the shorter side of a canvas the longer one may be."""

_CANVAS_SIDES: Final = range(100, 10_001)


def _canvas(text: str) -> str:
    canvas = Canvas.parse(text)
    if canvas is not None:
        sides = canvas.width, canvas.height
        if max(sides) > _NARROWEST * min(sides):
            raise ValueError(f"a canvas is 1:{_NARROWEST} to {_NARROWEST}:1, not {text}")
        if canvas.fixed and not all(side in _CANVAS_SIDES for side in sides):
            raise ValueError(f"the sides of a canvas have 100 to 10000 pixels, not {text}")
    return text


def is_name(text: str) -> bool:
    """Whether a theme can have that name."""
    return _NAME.fullmatch(text) is not None


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError("it has lower-case letters, digits and -, at most 64, no - at its ends")
    return text


def _printable(text: str) -> str:
    if not text.replace("\n", " ").isprintable():
        raise ValueError("it contains characters that cannot be printed")
    return text


def _line(text: str) -> str:
    if "\n" in text:
        raise ValueError("it is one line")
    return _printable(text)


_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")

Line = Annotated[str, Field(max_length=200), AfterValidator(_line)]
Prompt = Annotated[str, Field(max_length=MAX_PROMPT_CHARACTERS), AfterValidator(_printable)]


class SceneChoice(StrEnum):
    """Which of a theme's scenes a product stands in; the same one each time."""

    FIXED = "fixed"
    """The first."""
    SHAPE = "shape"
    """The one whose standing area has the product's shape."""
    SKU = "sku"
    """One by the SKU: a new scene takes over some products, the others stay where they are."""


@dataclass(frozen=True, slots=True)
class Theme:
    """A background's look, and the product's place before it.

    Args:
        name: As in partition keys and `SUPPORTED_THEMES`.
        prompt: What a text-to-image provider is asked for. It describes an empty scene: the
            product is set into it afterwards. Empty where ``background`` reads none.
        light: How the scene is lit: decides the product's shadow and reflection. ``None`` for no
            shadow at all.
        alt: The scene for the picture's description, behind the product's title.
        background: The provider that makes its backgrounds, such as ``white``; ``None``: that of
            the settings.
        placement: How large the product is and where it stands.
        canvas: The picture's size (``2048x2048``) or shape (``4:5``); the photo's where empty.
        tone_match: Whether the background's tone is brought a little towards the product's.
        rules: A marketplace's, checked on the finished file.
        gates: The limits of its quality checks.
        fits: How large in life a product is that looks right there: an armchair on a kitchen
            counter would be a doll's.
        looks: Those of the scene that local backgrounds are drawn from, by the names in
            `looks.toml`; all where empty.
        scenes: Names of approved scenes. A background is then a part of one of them, and its light
            takes the place of the theme's. Empty: each photo gets a background of its own.
        scene_choice: Which of several scenes.
        scale: What decides how large a product is in a scene.
        local_scene: The scene of the local provider that is drawn for it; the one of the theme's
            own name where empty.
        approval: Whether a person approves each picture before it is published.
    """

    # How a record of it is read; see `themes.record`.
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    name: Annotated[str, AfterValidator(_name)]
    prompt: Prompt
    light: Light | None
    alt: Line
    background: Line | None = None
    placement: Placement = AS_PHOTOGRAPHED
    canvas: Annotated[str, AfterValidator(_canvas)] = ""
    tone_match: bool = False
    rules: Rules | None = None
    gates: Gates = DEFAULT_GATES
    fits: Annotated[tuple[Size, ...], Field(min_length=1, max_length=len(EVERY_SIZE))] = EVERY_SIZE
    looks: Annotated[tuple[Line, ...], Field(max_length=20)] = ()
    scenes: Annotated[tuple[Line, ...], Field(max_length=20)] = ()
    scene_choice: SceneChoice = SceneChoice.FIXED
    scale: Scale = Scale.FILL
    local_scene: Line = ""
    approval: bool = False

    @property
    def drawn_as(self) -> str:
        """The name of the local provider's scene."""
        return self.local_scene or self.name
