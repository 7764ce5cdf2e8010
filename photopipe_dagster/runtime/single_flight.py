"""Who is asking the shop for what at the moment, so that nobody asks for the same beside them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field


@dataclass(slots=True)
class Inquiries:
    """What the photos of a run are asking the shop: those of one product ask once.

    Args:
        turns: By SKU, whose turn it is.
        unanswered: SKUs whose last inquiry brought no answer.
    """

    turns: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock), repr=False
    )
    unanswered: set[str] = field(default_factory=set)
