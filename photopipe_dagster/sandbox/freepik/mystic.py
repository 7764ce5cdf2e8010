"""What Mystic accepts, and in which sizes it paints."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

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

MODELS: Final = ("realism", "fluid", "zen", "flexible", "super_real", "editorial_portraits")
ENGINES: Final = ("automatic", "magnific_illusio", "magnific_sharpy", "magnific_sparkle")

_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_STEP: Final = 16
"""Sides are multiples of it, so that a size is never exactly the ratio that was asked for."""


@dataclass(frozen=True, slots=True)
class InvalidParameter:
    """A parameter that was refused, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Order:
    """A picture that was ordered.

    Args:
        prompt: May be empty: the schema requires nothing.
        resolution: ``1k``, ``2k`` or ``4k``.
        ratio: Name of the aspect ratio.
        webhook_url: Who is told of the end, if anybody.
    """

    prompt: str
    resolution: str
    ratio: str
    webhook_url: str | None

    def size(self, scale: float) -> tuple[int, int]:
        """Width and height in pixels; about the area that the resolution's name suggests."""
        across, down = RATIOS[self.ratio]
        side = RESOLUTIONS[self.resolution] * scale
        width = side * math.sqrt(across / down)
        height = side * math.sqrt(down / across)
        return _steps(width), _steps(height)


def _steps(pixels: float) -> int:
    return max(_STEP, round(pixels / _STEP) * _STEP)


def read_order(payload: Mapping[str, Any]) -> Order | list[InvalidParameter]:
    """Check every field of a request.

    Returns:
        The order, or all that is wrong with it.
    """
    wrong = [
        InvalidParameter(name, reason)
        for name, value in payload.items()
        if (reason := _reason(name, value)) is not None
    ]
    ratio = payload.get("aspect_ratio", "square_1_1")
    if payload.get("model") == "fluid" and ratio in RATIOS and ratio not in FLUID_RATIOS:
        wrong.append(InvalidParameter("aspect_ratio", f"fluid does not paint {ratio}"))
    if wrong:
        return wrong
    return Order(
        prompt=payload.get("prompt", ""),
        resolution=payload.get("resolution", "2k"),
        ratio=ratio,
        webhook_url=payload.get("webhook_url"),
    )


def _reason(name: str, value: object) -> str | None:
    check = _CHECKS.get(name)
    return "no such parameter" if check is None else check(value)


Check = Callable[[object], str | None]


def _text(value: object) -> str | None:
    return None if isinstance(value, str) else "must be a string"


def _url(value: object) -> str | None:
    if isinstance(value, str) and urlsplit(value).scheme in {"http", "https"}:
        return None
    return "must be a URL"


def _base64(value: object) -> str | None:
    try:
        if isinstance(value, str) and base64.b64decode(value, validate=True):
            return None
    except binascii.Error:
        pass
    return "must be a picture in base64"


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _one_of(*allowed: str) -> Check:
    def check(value: object) -> str | None:
        return None if value in allowed else f"must be one of {', '.join(allowed)}"

    return check


def _between(low: float, high: float, *, whole: bool = True) -> Check:
    def check(value: object) -> str | None:
        kinds = int if whole else (int, float)
        if isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high:
            return None
        return f"must be {'an integer' if whole else 'a number'} from {low} to {high}"

    return check


def _styling(value: object) -> str | None:
    if not isinstance(value, dict) or set(value) - {"styles", "characters", "colors"}:
        return "must be an object of styles, characters and colors"
    parts: tuple[tuple[str, int, dict[str, Check]], ...] = (
        ("styles", 1, {"name": _text, "strength": _between(0, 200)}),
        ("characters", 1, {"id": _text, "strength": _between(0, 200)}),
        ("colors", 5, {"color": _colour, "weight": _between(0.05, 1, whole=False)}),
    )
    for name, most, checks in parts:
        items = value.get(name, [])
        if not isinstance(items, list) or len(items) > most or (name in value and not items):
            return f"{name} must be a list of 1 to {most}"
        if not all(_fits(item, checks) for item in items):
            return f"an item of {name} is not valid"
    return None


def _fits(item: object, checks: Mapping[str, Check]) -> bool:
    if not isinstance(item, dict) or set(item) - set(checks):
        return False
    return all(checks[key](value) is None for key, value in item.items())


def _colour(value: object) -> str | None:
    return None if isinstance(value, str) and _COLOUR.fullmatch(value) else "must be #RRGGBB"


_CHECKS: Final[dict[str, Check]] = {
    "prompt": _text,
    "webhook_url": _url,
    "structure_reference": _base64,
    "structure_strength": _between(0, 100),
    "style_reference": _base64,
    "adherence": _between(0, 100),
    "hdr": _between(0, 100),
    "resolution": _one_of(*RESOLUTIONS),
    "aspect_ratio": _one_of(*RATIOS),
    "model": _one_of(*MODELS),
    "engine": _one_of(*ENGINES),
    "creative_detailing": _between(0, 100),
    "fixed_generation": _flag,
    "filter_nsfw": _flag,
    "styling": _styling,
}
