"""What marketplaces ask of a main picture, as numbers that can be checked.

Nothing heavy is imported here, so that themes can carry rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from photopipe_dagster.core.json_text import STRICT


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one marketplace.

    Args:
        name: The marketplace, for messages.
        least_share: Of the frame's width or height, whichever the product fills more, 0 to 1.
        most_share: As above.
        min_side: Pixels of the longer side, at least.
        max_bytes: Of the file, at most.
        white: What has to be pure white, 255 in every channel: all of the ground, or, where a
            shadow is welcome, the picture's border.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    name: str
    least_share: float
    most_share: float
    min_side: int
    max_bytes: int
    white: Literal["ground", "border"]

    def __post_init__(self) -> None:
        if not 0 < self.least_share <= self.most_share <= 1:
            raise ValueError("least_share and most_share are 0 to 1, the least one first")
        if self.min_side < 1 or self.max_bytes < 1:
            raise ValueError("min_side and max_bytes are at least 1")
