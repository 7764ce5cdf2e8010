"""The themes that ship with Photopipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from photopipe_dagster.imaging.light import (
    KITCHEN,
    LUXURY,
    MINIMAL,
    OUTDOORS,
    PACKSHOT,
    STUDIO,
)
from photopipe_dagster.imaging.marketplace import AMAZON_MAIN, GOOGLE, SHOPIFY_SQUARE
from photopipe_dagster.imaging.placement import Placement
from photopipe_dagster.themes.model import Theme

_EMPTY_SCENE = (
    "Empty scene without any product, person, text or logo; free space in the middle; "
    "camera at table height; realistic photograph."
)

ON_A_TABLE = Placement(ground=0.72)
"""As in the photo, but well in front of a table's far edge."""

THEMES: Final[Mapping[str, Theme]] = {
    theme.name: theme
    for theme in (
        Theme(
            "default",
            "Photographer's studio: seamless light grey paper sweeping from floor to wall, large "
            f"softbox from the upper left, gentle falloff to the corners. {_EMPTY_SCENE}",
            STUDIO,
            "in a photo studio on light grey paper",
        ),
        Theme(
            "kitchen",
            "White marble counter with fine grey veins in a bright modern kitchen, window light "
            f"from the side, cupboards far out of focus behind. {_EMPTY_SCENE}",
            KITCHEN,
            "on a marble kitchen counter",
            placement=ON_A_TABLE,
            tone_match=True,
        ),
        Theme(
            "outdoors",
            "Weathered oak table top in a garden, low warm sun, foliage behind dissolved into "
            f"round bokeh. {_EMPTY_SCENE}",
            OUTDOORS,
            "on a wooden table in a garden",
            placement=ON_A_TABLE,
            tone_match=True,
        ),
        Theme(
            "minimal",
            "One pale warm-white tone, floor and wall melting into each other, high-key light, "
            f"nothing else. {_EMPTY_SCENE}",
            MINIMAL,
            "on a plain warm-white ground",
        ),
        Theme(
            "luxury",
            "Polished black stone in front of a dark velvet wall with thin brushed-gold inlays, "
            f"one dramatic spot of light, soft reflections. {_EMPTY_SCENE}",
            LUXURY,
            "on polished black stone",
            placement=ON_A_TABLE,
        ),
        Theme(
            "amazon-main",
            "",
            None,
            "on a white ground",
            background="white",
            placement=Placement(share=0.9, min_side=1600, max_scale=1.25),
            canvas="2000x2000",
            rules=AMAZON_MAIN,
        ),
        Theme(
            "google",
            "",
            None,
            "on a white ground",
            background="white",
            placement=Placement(share=0.84, min_side=500),
            canvas="1500x1500",
            rules=GOOGLE,
        ),
        Theme(
            "shopify-square",
            "",
            PACKSHOT,
            "on a white ground",
            background="white",
            placement=Placement(share=0.8, min_side=1024, max_scale=1.25),
            canvas="2048x2048",
            rules=SHOPIFY_SQUARE,
        ),
    )
}
