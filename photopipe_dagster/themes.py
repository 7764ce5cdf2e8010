"""The themes that a photo can be set in: the scene in words, and its light."""

from __future__ import annotations

from dataclasses import dataclass

from photopipe_dagster.errors import PhotoRejected
from photopipe_dagster.imaging.light import KITCHEN, LUXURY, MINIMAL, OUTDOORS, STUDIO, Light


@dataclass(frozen=True, slots=True)
class Theme:
    """A background's look.

    Args:
        name: As in partition keys and `SUPPORTED_THEMES`.
        prompt: What a text-to-image provider is asked for. It describes an empty scene: the
            product is set into it afterwards.
        light: How the scene is lit: decides the product's shadow and reflection.
    """

    name: str
    prompt: str
    light: Light


_EMPTY_SCENE = (
    "Empty scene without any product, person, text or logo; free space in the middle; "
    "camera at table height; realistic photograph."
)

THEMES: dict[str, Theme] = {
    theme.name: theme
    for theme in (
        Theme(
            "default",
            "Photographer's studio: seamless light grey paper sweeping from floor to wall, large "
            f"softbox from the upper left, gentle falloff to the corners. {_EMPTY_SCENE}",
            STUDIO,
        ),
        Theme(
            "kitchen",
            "White marble counter with fine grey veins in a bright modern kitchen, window light "
            f"from the side, cupboards far out of focus behind. {_EMPTY_SCENE}",
            KITCHEN,
        ),
        Theme(
            "outdoors",
            "Weathered oak table top in a garden, low warm sun, foliage behind dissolved into "
            f"round bokeh. {_EMPTY_SCENE}",
            OUTDOORS,
        ),
        Theme(
            "minimal",
            "One pale warm-white tone, floor and wall melting into each other, high-key light, "
            f"nothing else. {_EMPTY_SCENE}",
            MINIMAL,
        ),
        Theme(
            "luxury",
            "Polished black stone in front of a dark velvet wall with thin brushed-gold inlays, "
            f"one dramatic spot of light, soft reflections. {_EMPTY_SCENE}",
            LUXURY,
        ),
    )
}


def theme(name: str) -> Theme:
    """The theme of that name.

    Raises:
        PhotoRejected: There is none.
    """
    try:
        return THEMES[name]
    except KeyError:
        raise PhotoRejected(
            f"There is no theme {name!r}; choose one of {', '.join(THEMES)}."
        ) from None
