"""How alike the pictures of a collection look, as the shop's grid shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean, median, pstdev
from typing import Final

import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.imaging.contact_sheet import grid_sheet
from photopipe_dagster.imaging.decode import decode_rgb
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.pictures import CompositeFacts, described

GROUND: Final = 0.005
"""How far a product may stand from the collection's ground line, share of the height."""

OPTICAL: Final = 0.15
"""How far a product's optical size may be from the collection's, share of that."""

COLOUR: Final = 6
"""How far the ground's colour may be from the collection's, levels of 255 in a channel."""

MOST: Final = 240
"""Pictures that a report looks at: the newest."""

_CELL: Final = 320
_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Look:
    """One product of a collection.

    Args:
        ground: Where its lower end is, share of the picture's height; ``None``: not measured, by
            an earlier version.
        optical: Its optical size, see `placement.Stand`.
        shadow: Where the light comes from that throws its shadow, degrees; ``None`` where none is
            thrown.
        colour: Red, green and blue of the ground in the picture's lower corners.
        scene: That it stands in.
        scaled_by: What has decided its size.
        faults: What sets it apart, in words.
    """

    job: Job
    ground: float | None
    optical: float | None
    shadow: float | None
    colour: tuple[int, int, int]
    scene: str | None
    scaled_by: str | None
    faults: tuple[str, ...] = ()

    @property
    def colour_hex(self) -> str:
        """As CSS has it."""
        return "#{:02x}{:02x}{:02x}".format(*self.colour)


@dataclass(frozen=True, slots=True)
class CollectionReport:
    """How alike a theme's pictures look.

    Args:
        looks: Of each product, those that are set apart first.
        optical_spread: Standard deviation of the optical sizes, share of their mean.
        ground_spread: Between the highest and the lowest ground line, share of the height.
        thumbnails: Small pictures in the same order: (height, width, 3) uint8.
    """

    theme: str
    looks: tuple[Look, ...]
    optical_spread: float
    ground_spread: float
    thumbnails: tuple[NDArray[np.uint8], ...]

    @property
    def outliers(self) -> int:
        """Products that are set apart."""
        return sum(bool(look.faults) for look in self.looks)

    @property
    def summary(self) -> str:
        """One line."""
        return (
            f"{len(self.looks)} pictures in {self.theme}, {self.outliers} set apart; ground lines "
            f"within {self.ground_spread:.2%} of the height, optical sizes vary by "
            f"{self.optical_spread:.1%}"
        )

    def sheet(self) -> bytes:
        """The pictures as the shop's grid shows them, a PNG; those set apart come first, framed."""
        cells = [
            (picture, look.job.key.sku, bool(look.faults))
            for picture, look in zip(self.thumbnails, self.looks, strict=True)
        ]
        return grid_sheet(cells, title=self.summary)


def collection_report(ledger: Ledger, store: ObjectStore, theme: str) -> CollectionReport:
    """Measure the newest pictures that are done in a theme, each product once.

    Raises:
        StorageError: The object store cannot be read.
    """
    done = ledger.jobs.find(JobQuery((JobStatus.DONE,), theme=theme), limit=MOST)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        measured = [each for each in pool.map(partial(_measured, store), done) if each is not None]
    looks = judged([look for look, _ in measured])
    pictures = {look.job.id: picture for look, picture in measured}
    grounds = [look.ground for look in looks if look.ground is not None]
    sizes = [look.optical for look in looks if look.optical is not None]
    return CollectionReport(
        theme,
        looks,
        pstdev(sizes) / fmean(sizes) if sizes else 0.0,
        max(grounds) - min(grounds) if grounds else 0.0,
        tuple(pictures[look.job.id] for look in looks),
    )


def judged(looks: Sequence[Look]) -> tuple[Look, ...]:
    """The same with what sets each apart from most, those first."""
    grounds = [look.ground for look in looks if look.ground is not None]
    sizes = [look.optical for look in looks if look.optical is not None]
    thrown = Counter(look.shadow for look in looks if look.shadow is not None)
    usual = (
        median(grounds) if grounds else None,
        median(sizes) if sizes else None,
        thrown.most_common(1)[0][0] if thrown else None,
        [median(look.colour[channel] for look in looks) for channel in range(3)] if looks else [],
    )
    found = [_with_faults(look, *usual) for look in looks]
    return tuple(sorted(found, key=lambda look: (-len(look.faults), look.job.key.sku)))


def _with_faults(
    look: Look,
    ground: float | None,
    optical: float | None,
    shadow: float | None,
    colour: Sequence[float],
) -> Look:
    faults = []
    if look.ground is None or look.optical is None:
        faults.append("It was made by an earlier version, which measured nothing: make it again.")
    if look.ground is not None and ground is not None and abs(look.ground - ground) > GROUND:
        faults.append(
            f"It stands at {look.ground:.1%} of the height, most at {ground:.1%}: perhaps the "
            "photo's frame cuts it off."
        )
    if look.optical is not None and optical and abs(look.optical / optical - 1) > OPTICAL:
        faults.append(
            f"It looks {look.optical / optical:.0%} as large as most: a long product is limited by "
            "the frame, any other by the theme's scale."
        )
    if look.shadow is not None and shadow is not None and look.shadow != shadow:
        faults.append(f"Its light comes from {look.shadow:.0f}°, that of most from {shadow:.0f}°.")
    if max(abs(own - usual) for own, usual in zip(look.colour, colour, strict=True)) > COLOUR:
        faults.append(f"Its ground is {look.colour_hex}, another colour than that of most.")
    if look.scaled_by is not None and look.scaled_by.startswith("fill:"):
        faults.append(
            f"Its size is as its placement says, {look.scaled_by.removeprefix('fill: ')}."
        )
    return replace(look, faults=tuple(faults))


def _measured(store: ObjectStore, job: Job) -> tuple[Look, NDArray[np.uint8]] | None:
    """A picture's numbers and a small copy; ``None`` where it has left the store."""
    key = job.object_keys[Stage.COMPOSITE]
    stored = None if key is None else store.get(key)
    found = None if stored is None else described(stored.info, CompositeFacts)
    if stored is None or found is None:
        return None
    try:
        rgb = decode_rgb(stored.data, cover=(_CELL, _CELL))
    except PhotoRejectedError:
        return None  # damaged: the reconciliation says so
    step = max(1, min(rgb.shape[:2]) // _CELL)
    small = np.ascontiguousarray(rgb[::step, ::step])
    facts = found.facts
    look = Look(
        job,
        facts.ground,
        facts.optical,
        facts.shadow,
        _ground_colour(small),
        facts.scene,
        facts.scaled_by,
    )
    return look, small


def _ground_colour(rgb: NDArray[np.uint8]) -> tuple[int, int, int]:
    """The middle colour of both lower corners, where no product stands."""
    height, width = rgb.shape[:2]
    high, wide = max(1, height // 20), max(1, width // 10)
    corners = np.concatenate(
        [rgb[-high:, :wide].reshape(-1, 3), rgb[-high:, -wide:].reshape(-1, 3)]
    )
    red, green, blue = (int(value) for value in np.median(corners, axis=0))
    return red, green, blue
