"""Says what submitting files would cost, as a table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from photopipe_dagster.estimate import Candidate, PhotoEstimate, estimating
from photopipe_dagster.imaging.decode import inspect
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.photo import PhotoKey
from photopipe_dagster.settings import Settings
from photopipe_dagster.storage.base import ObjectStore

_SHOWN: Final = 40
"""Photos shown one by one; the others only add to the sum."""


def print_estimate(
    console: Console,
    settings: Settings,
    ledger: Ledger,
    store: ObjectStore,
    files: Sequence[Path],
    sku: str,
    themes: Sequence[str],
) -> None:
    """Print what files would cost in themes, and what the budget has left.

    Raises:
        PhotoRejected: A file is no photo that can be worked with.
        ConfigurationError: A provider cannot work with these settings.
    """
    with estimating(settings, ledger, store) as estimator:
        photos = estimator.estimate(_candidates(settings, files, sku, themes))
    names = [file.name for file in files for _ in themes]
    table = Table("Photo", "Theme", "Cut-out", "Background", "USD", "", title="Estimate")
    for name, photo in list(zip(names, photos, strict=True))[:_SHOWN]:
        table.add_row(
            name,
            photo.key.theme,
            f"{photo.cutout:f}",
            f"{photo.background:f}",
            f"{photo.total:f}",
            _remark(photo),
        )
    console.print(table)
    if len(photos) > _SHOWN:
        console.print(f"… and {len(photos) - _SHOWN} more")
    total = sum((photo.total for photo in photos), Decimal(0))
    console.print(f"{len(photos)} pictures, {total:f} USD")
    for period in (ledger.budget.day(), ledger.budget.month()):
        console.print(period.describe())
        if period.room is not None and total > period.room:
            console.print("[yellow]  That is too little: some photos will wait.[/yellow]")


def _candidates(
    settings: Settings, files: Sequence[Path], sku: str, themes: Sequence[str]
) -> Iterator[Candidate]:
    for file in files:
        data = file.read_bytes()
        info = inspect(data, max_pixels=settings.image_max_pixels, min_side=settings.image_min_side)
        sha256 = hashlib.sha256(data).hexdigest()
        for theme in themes:
            yield Candidate(PhotoKey(sku, sha256, theme), sha256, (info.width, info.height))


def _remark(photo: PhotoEstimate) -> str:
    if photo.standing:
        return photo.standing
    return f"reused: {', '.join(photo.reused)}" if photo.reused else ""
