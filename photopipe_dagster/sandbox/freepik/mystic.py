"""What Mystic accepts, and in which sizes it paints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

RATIOS: Final[dict[str, tuple[int, int]]] = {
    "square_1_1": (1, 1),
    "classic_4_3": (4, 3),
    "traditional_3_4": (3, 4),
    "widescreen_16_9": (16, 9),
    "social_story_9_16": (9, 16),
    "smartphone_horizontal_20_9": (20, 9),
    "smartphone_vertical_9_20": (9, 20),
    "standard_3_2": (3, 2),
    "portrait_2_3": (2, 3),
    "horizontal_2_1": (2, 1),
    "vertical_1_2": (1, 2),
    "social_5_4": (5, 4),
    "social_post_4_5": (4, 5),
}
"""Aspect ratios by their name, as width and height."""

FLUID_RATIOS: Final = frozenset(
    {
        "square_1_1",
        "social_story_9_16",
        "widescreen_16_9",
        "traditional_3_4",
        "classic_4_3",
    }
)
"""The only ones that the model `fluid` accepts."""

RESOLUTIONS: Final[dict[str, int]] = {"1k": 1024, "2k": 2048, "4k": 4096}
"""Side in pixels of a square picture. The real figures are not documented."""

_STEP: Final = 16
"""Sides are multiples of it, so that a size is never exactly the ratio that was asked for."""


@dataclass(frozen=True, slots=True)
class InvalidParameter:
    """A parameter that was refused, and why."""

    name: str
    reason: str


_Percent = Annotated[int, Field(ge=0, le=100)]


class Order(BaseModel):
    """A picture that is ordered; no parameter is required.

    What is not given is empty, or as the vendor has it. The vendor also knows pictures to follow,
    stylings and a webhook, which nobody asks for here: they are refused, as unknown ones are.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    prompt: str = ""
    adherence: _Percent = 50
    hdr: _Percent = 50
    resolution: Literal["1k", "2k", "4k"] = "2k"
    model: Literal["realism", "fluid", "zen", "flexible", "super_real", "editorial_portraits"] = (
        "realism"
    )
    aspect_ratio: str = "square_1_1"
    engine: Literal["automatic", "magnific_illusio", "magnific_sharpy", "magnific_sparkle"] = (
        "automatic"
    )
    creative_detailing: _Percent = 33
    fixed_generation: bool = False
    filter_nsfw: bool = True

    @field_validator("aspect_ratio")
    @classmethod
    def _paintable(cls, ratio: str, info: ValidationInfo) -> str:
        known = FLUID_RATIOS if info.data.get("model") == "fluid" else RATIOS
        if ratio not in known:
            raise ValueError(f"must be one of {', '.join(sorted(known))}")
        return ratio

    def size(self, scale: float) -> tuple[int, int]:
        """Width and height in pixels; about the area that the resolution's name suggests."""
        across, down = RATIOS[self.aspect_ratio]
        side = RESOLUTIONS[self.resolution] * scale
        width = side * math.sqrt(across / down)
        height = side * math.sqrt(down / across)
        return _steps(width), _steps(height)


def _steps(pixels: float) -> int:
    return max(_STEP, round(pixels / _STEP) * _STEP)


def read_order(payload: Mapping[str, Any]) -> Order | list[InvalidParameter]:
    """Check every parameter of a request.

    Returns:
        The order, or all that is wrong with it.
    """
    try:
        return Order.model_validate(payload)
    except ValidationError as error:
        return [InvalidParameter(str(one["loc"][0]), one["msg"]) for one in error.errors()]
