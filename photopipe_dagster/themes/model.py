"""What a theme is: the scene in words, its light, the product's place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from photopipe_dagster.imaging.light import Light
from photopipe_dagster.imaging.marketplace import Rules
from photopipe_dagster.imaging.placement import AS_PHOTOGRAPHED, Placement, Scale
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
    """

    name: str
    prompt: str
    light: Light | None
    alt: str
    background: str | None = None
    placement: Placement = AS_PHOTOGRAPHED
    canvas: str = ""
    tone_match: bool = False
    rules: Rules | None = None
    gates: Gates = DEFAULT_GATES
    fits: tuple[Size, ...] = EVERY_SIZE
    looks: tuple[str, ...] = ()
    scenes: tuple[str, ...] = ()
    scene_choice: SceneChoice = SceneChoice.FIXED
    scale: Scale = Scale.FILL
