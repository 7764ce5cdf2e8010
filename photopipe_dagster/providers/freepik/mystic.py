"""What Mystic can be asked for: its enumerations, and which of them fits a picture.

Source: Freepik's OpenAPI of December 2024, docs.freepik.com (2025) and clients of the
specification of 2026.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

MODELS: Final = ("realism", "fluid", "zen", "flexible", "super_real", "editorial_portraits")
ENGINES: Final = ("automatic", "magnific_illusio", "magnific_sharpy", "magnific_sparkle")

# `social_post_4_5` exists too, but the specification of September 2026 has a stray quote inside
# the word, so that nobody knows which spelling passes; a 4:5 picture asks for 3:4.
ASPECT_RATIOS: Final[Mapping[str, float]] = {
    "square_1_1": 1.0,
    "classic_4_3": 4 / 3,
    "traditional_3_4": 3 / 4,
    "widescreen_16_9": 16 / 9,
    "social_story_9_16": 9 / 16,
    "smartphone_horizontal_20_9": 20 / 9,
    "smartphone_vertical_9_20": 9 / 20,
    "standard_3_2": 3 / 2,
    "portrait_2_3": 2 / 3,
    "horizontal_2_1": 2.0,
    "vertical_1_2": 1 / 2,
    "social_5_4": 5 / 4,
}
"""Names and what they mean, width over height."""

FLUID_ASPECT_RATIOS: Final = frozenset(
    {"square_1_1", "classic_4_3", "traditional_3_4", "widescreen_16_9", "social_story_9_16"}
)
"""All that the model `fluid` accepts."""


def aspect_ratio(width: int, height: int, model: str) -> str:
    """The name of the ratio nearest to ``width`` × ``height`` pixels.

    Nearest by factor, so that 2:1 is as far from 1:1 as 1:2 is.
    """
    names = FLUID_ASPECT_RATIOS if model == "fluid" else ASPECT_RATIOS.keys()
    wanted = math.log(width / height)
    return min(sorted(names), key=lambda name: abs(math.log(ASPECT_RATIOS[name]) - wanted))


def resolution(width: int, height: int, setting: str) -> str:
    """The resolution to ask for: the one that is set, or the least that covers the long side.

    What 1k, 2k and 4k mean in pixels at each ratio is not documented; 1024, 2048 and more is an
    assumption. The answer's size is read from its bytes.
    """
    if setting != "auto":
        return setting
    longest = max(width, height)
    if longest <= 1024:
        return "1k"
    return "2k" if longest <= 2048 else "4k"
