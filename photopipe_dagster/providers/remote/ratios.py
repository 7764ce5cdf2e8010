"""The shapes of pictures that services offer."""

from __future__ import annotations

from collections.abc import Mapping


def nearest_ratio(width: int, height: int, offered: Mapping[str, float]) -> str:
    """The name of the shape nearest to that of so many pixels: by factor, so that 2:1 is as far
    from 1:1 as 1:2 is.

    Args:
        offered: Width over height, by name.
    """
    wanted = width / height
    return min(offered, key=lambda name: max(wanted / offered[name], offered[name] / wanted))


def ratios(*names: str) -> dict[str, float]:
    """Shapes such as ``16:9``, by name."""
    return {name: int(name.partition(":")[0]) / int(name.partition(":")[2]) for name in names}
