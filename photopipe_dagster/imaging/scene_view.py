"""The part of a scene that a picture shows, and where products stand in it: sums, no pixels.

A scene is one picture for a whole collection. Each canvas shows the largest part of its shape that
lies in the scene's safe area. The ground line is at the same share of the height in all of them, so
that a square and a 4:5 picture show products standing alike.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Self

from photopipe_dagster.imaging.light import Light
from photopipe_dagster.imaging.placement import Box, Stand

UPLOAD: Final = "upload"
"""In the place of the name of the provider that made a scene: somebody's own picture."""

MIN_SIDE: Final = 600
"""Pixels of the shorter side below which a picture is no scene: every canvas would enlarge it."""

MAX_PIXELS: Final = 50_000_000
"""Width times height of the largest scene: a crop decodes all of it."""

LIGHT_FIELDS: Final = {
    "azimuth": "azimuth_degrees",
    "elevation": "elevation_degrees",
    "softness": "softness",
    "contact": "contact",
    "ambient": "ambient",
    "cast": "cast",
    "reflection": "reflection",
    "tint": "tint",
    "plain": "plain",
}
"""What people say of a scene's light: the fields of `Light`."""

SAID: Final = ("ground", "stand", "safe", "pitch_degrees", "pixels_per_cm", *LIGHT_FIELDS)
"""What people say of a scene."""


@dataclass(frozen=True, slots=True)
class SceneView:
    """What is known of a scene's picture. Shares are 0 to 1 of its width or height.

    Args:
        width: Pixels of the picture.
        height: Pixels.
        ground: The line that products' bases meet, as a share of the height from the top.
        stand: Left and right end of the standing area at that line, shares of the width.
        safe: Left, top, right and bottom of what pictures may show, shares.
        pitch_degrees: By which the camera looks down.
        pixels_per_cm: At the ground line; ``None``: not known, and no product has its true scale.
        light: Decides shadow and reflection.

    Raises:
        ValueError: A number is not what it must be; says which.
    """

    width: int
    height: int
    ground: float
    stand: tuple[float, float] = (0.1, 0.9)
    safe: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    pitch_degrees: float = 19.0
    pixels_per_cm: float | None = None
    light: Light = field(default_factory=Light)

    def __post_init__(self) -> None:
        left, top, right, bottom = self.safe
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise ValueError(f"safe is left, top, right, bottom, each 0 to 1, not {self.safe}")
        if not top + 0.2 * (bottom - top) <= self.ground < bottom:
            raise ValueError(
                f"ground is {self.ground}: it must lie in the safe area ({top} to {bottom}), "
                "below its upper fifth"
            )
        if not left <= self.stand[0] < self.stand[1] <= right:
            raise ValueError(f"stand is left and right within the safe area, not {self.stand}")
        if not 0 <= self.light.azimuth_degrees < 360:
            raise ValueError(f"azimuth is 0 to 359 degrees, not {self.light.azimuth_degrees}")
        if not 0 <= self.pitch_degrees <= 90:
            raise ValueError(f"pitch_degrees is 0 to 90, not {self.pitch_degrees}")
        if self.pixels_per_cm is not None and not 0 < self.pixels_per_cm <= 10_000:
            raise ValueError(f"pixels_per_cm is more than 0, not {self.pixels_per_cm}")

    def crop(self, width: int, height: int) -> Box:
        """The largest part of a canvas's shape: left, top, right, bottom, pixels of the scene."""
        left, top, right, bottom = self._safe_pixels
        high, wide = bottom - top, right - left
        if wide * height > high * width:
            kept = high * width / height, high
        else:
            kept = wide, wide * height / width
        middle = sum(self.stand) / 2 * self.width
        x = min(max(left, middle - kept[0] / 2), right - kept[0])
        y = top + (self.ground * self.height - top) / high * (high - kept[1])
        return round(x), round(y), round(x) + round(kept[0]), round(y) + round(kept[1])

    def fitted(self, width: int, height: int) -> tuple[int, int]:
        """The largest canvas of a shape for which nothing of the scene is enlarged, at most the
        given one; pixels.
        """
        left, top, right, bottom = self.crop(width, height)
        factor = min(1.0, (right - left) / width, (bottom - top) / height)
        return max(1, round(width * factor)), max(1, round(height * factor))

    def stand_in(self, width: int, height: int) -> Stand:
        """Where products stand in a picture of that size."""
        left, top, right, bottom = self.crop(width, height)
        ends = ((each * self.width - left) / (right - left) for each in self.stand)
        first, last = (min(max(0.0, end), 1.0) for end in ends)
        return Stand((self.ground * self.height - top) / (bottom - top), first, last)

    def height_share(self, cm: float, width: int, height: int) -> float | None:
        """A length at the ground line, as a share of the height of a picture of that size."""
        if self.pixels_per_cm is None:
            return None
        _, top, _, bottom = self.crop(width, height)
        return cm * self.pixels_per_cm / (bottom - top)

    @property
    def shape(self) -> float:
        """Width of the standing area by the room above it: the shape of a product that fills it."""
        _, top, _, _ = self._safe_pixels
        across = (self.stand[1] - self.stand[0]) * self.width
        return across / (self.ground * self.height - top)

    @property
    def _safe_pixels(self) -> tuple[float, float, float, float]:
        left, top, right, bottom = self.safe
        return left * self.width, top * self.height, right * self.width, bottom * self.height

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Read it back; what a later version has added is left out."""
        return cls(**_known(cls, content) | {"light": Light(**_known(Light, content["light"]))})


def _known(kind: type[Any], content: dict[str, Any]) -> dict[str, Any]:
    names = {each.name for each in fields(kind)}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in content.items()
        if name in names
    }
