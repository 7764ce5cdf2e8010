"""How a scene is lit: what decides the shadow and the reflection of a product set into it.

Nothing heavy is imported here, so that themes can carry a light.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from photopipe_dagster.core.json_text import STRICT


@dataclass(frozen=True, slots=True)
class Light:
    """The light of a scene and how its ground answers to it.

    Args:
        azimuth_degrees: Where the light comes from, seen from above, clockwise: 0 from behind the
            product towards the camera, 90 from the right, 180 from the camera, 270 from the left.
        elevation_degrees: Its height above the ground, 15 to 85; a low light throws far.
        softness: 0 for a bare bulb, 1 for a whole window wall: how fast the cast shadow loses its
            edge with distance.
        contact: Darkness right under the base, 0 to 1.
        ambient: Darkness of the wide, soft shade around the base that has no direction, 0 to 1.
        cast: Darkness of the shadow thrown away from the light, 0 to 1.
        reflection: Strength of the mirror image in the ground, 0 (matt) to 1 (mirror).
        tint: What deepest shade leaves of red, green and blue, each 0 to 1; never quite black,
            because the surroundings light it.
        plain: Whether the ground is all that is seen, so that it may be seen from above as well:
            there a product can lie. On a table with a far edge it cannot.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    azimuth_degrees: float = 305.0
    elevation_degrees: float = 50.0
    softness: float = 0.6
    contact: float = 0.75
    ambient: float = 0.3
    cast: float = 0.32
    reflection: float = 0.0
    tint: tuple[float, float, float] = (0.07, 0.07, 0.08)
    plain: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.azimuth_degrees <= 360:
            raise ValueError(f"azimuth_degrees is 0 to 360, not {self.azimuth_degrees}")
        if not 15 <= self.elevation_degrees <= 85:
            raise ValueError(f"elevation_degrees is 15 to 85, not {self.elevation_degrees}")
        for name in ("softness", "contact", "ambient", "cast", "reflection"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is 0 to 1, not {getattr(self, name)}")
        if not all(0 <= channel <= 1 for channel in self.tint):
            raise ValueError(f"tint is three numbers from 0 to 1, not {self.tint}")
