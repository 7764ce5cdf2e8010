"""Items a few at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Items in lists of so many, the last one of what is left: `itertools.batched` of Python 3.12.

    Args:
        size: Items in a list, at least 1.
    """
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
