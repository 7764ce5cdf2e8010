"""What marketplaces ask of a main picture, as numbers that can be checked.

Nothing heavy is imported here, so that themes can carry rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one marketplace.

    Args:
        name: The marketplace, for messages.
        least_share: Of the frame's width or height, whichever the product fills more, 0 to 1.
        most_share: Likewise.
        min_side: Pixels of the longer side, at least.
        max_bytes: Of the file, at most.
        white: What has to be pure white, 255 in every channel: all of the ground, or, where a
            shadow is welcome, the picture's border.
    """

    name: str
    least_share: float
    most_share: float
    min_side: int
    max_bytes: int
    white: Literal["ground", "border"]


AMAZON_MAIN: Final = Rules(
    name="Amazon (main image)",
    least_share=0.85,
    most_share=1.0,
    min_side=1600,
    max_bytes=10_000_000,
    white="ground",
)
"""Seller Central, product image guide: pure white ground (255, 255, 255), the product fills 85 %
or more, 1600 pixels of the longer side or more for the best zoom (500 to 10 000 are taken), no
shadow that tints the ground."""

GOOGLE: Final = Rules(
    name="Google Merchant Center",
    least_share=0.75,
    most_share=0.90,
    min_side=500,
    max_bytes=16_000_000,
    white="ground",
)
"""Merchant Center help, image_link: the product takes 75 to 90 % of the picture on solid white, at
least 500 × 500 pixels (from 31 January 2027; 1500 × 1500 recommended), 16 MB and 64 megapixels at
most, and not enlarged."""

SHOPIFY_SQUARE: Final = Rules(
    name="Shopify (square)",
    least_share=0.60,
    most_share=0.95,
    min_side=800,
    max_bytes=20_000_000,
    white="border",
)
"""Shopify help, product media: 2048 × 2048 pixels suit square pictures best, zoom begins at 800,
20 MB at most. The white border is ours: tiles of a collection join without an edge."""
