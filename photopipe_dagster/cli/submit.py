"""`photopipe submit`: photos from files into the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from photopipe_dagster.cli.console import (
    AsJson,
    console,
    counted,
    errors,
    period_as_json,
    print_error,
    print_json,
    read_settings,
)
from photopipe_dagster.cli.job_view import as_json as job_as_json
from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.core.money import usd
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.recipe import digest
from photopipe_dagster.core.screen import one_line
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.product_sizes import ProductSize
from photopipe_dagster.storage.factory import object_store

if TYPE_CHECKING:  # it loads the assets, which most calls do without
    from photopipe_dagster.costs.estimate import PhotoEstimate

_SHOWN: Final = 40
"""Photos shown one by one; the others only add to the sum."""


@dataclass(frozen=True, slots=True)
class _Photo:
    file: Path
    data: bytes
    sha256: str
    content_type: str
    size: tuple[int, int]


def submit(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE", exists=True, dir_okay=False, readable=True, help="JPEG, PNG or WebP."
        ),
    ],
    sku: Annotated[str, typer.Option(help="The product's SKU.")],
    theme: Annotated[
        list[str] | None, typer.Option(help="Theme; repeat for several. Default: DEFAULT_THEME.")
    ] = None,
    height_cm: Annotated[
        float | None, typer.Option(help="The product's height, for themes of `true` scale.")
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only say what it would cost; submit nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put photos from files into the pipeline; the running daemon takes them up."""
    settings = read_settings()
    ledger = Ledger.open(settings)
    registry = ledger.themes.registry(settings)
    themes = [registry.offer(name).name for name in theme or [registry.default]]
    photos = _read(files, settings)
    store = object_store(settings)
    if estimate or (len(files) * len(themes) > 1 and not as_json):
        from photopipe_dagster.costs.estimate import Candidate, estimating

        with estimating(settings, ledger, store) as estimator:
            estimates = [
                (photo.file, priced)
                for photo in photos
                for priced in estimator.estimate(
                    Candidate(PhotoKey(sku, photo.sha256, name), photo.sha256, photo.size)
                    for name in themes
                )
            ]
        if as_json:
            print_json(_estimates_as_json(ledger, estimates))
        else:
            _print_estimates(ledger, estimates)
    if estimate:
        return
    from photopipe_dagster.sources.intake import store_original

    if height_cm is not None:
        ledger.product_sizes.put([ProductSize(sku, height_cm, source="submit")])
    submitted = []
    for photo in photos:
        for name in themes:
            key = PhotoKey(sku, photo.sha256, name)
            store_original(store, key, photo.data, photo.content_type)
            known = ledger.intake.submit(key, "submit")
            submitted.append(
                {"file": str(photo.file), "created": known.created} | job_as_json(known.job, ledger)
            )
            if not as_json:
                word = "created" if known.created else f"known, {known.job.status}"
                console.print(f"{one_line(photo.file.name)} in {name}: job {known.job.id} ({word})")
                console.print(f"  {settings.base_url}/jobs/{known.job.id}", soft_wrap=True)
    if as_json:
        print_json(submitted)


def _print_estimates(ledger: Ledger, estimates: Sequence[tuple[Path, PhotoEstimate]]) -> None:
    table = Table("Photo", "Theme", "Cut-out", "Background", "USD", "", title="Estimate")
    for file, photo in estimates[:_SHOWN]:
        remark = photo.standing
        if photo.reused and not remark:
            remark = f"reused: {', '.join(photo.reused)}"
        amounts = (usd(amount) for amount in (photo.cutout, photo.background, photo.total))
        table.add_row(Text(one_line(file.name)), photo.key.theme, *amounts, remark)
    console.print(table)
    if len(estimates) > _SHOWN:
        console.print(f"… and {len(estimates) - _SHOWN} more")
    total = _total(estimates)
    console.print(f"{counted(len(estimates), 'picture')}, {usd(total)} USD")
    for period in (ledger.budget.day(), ledger.budget.month()):
        console.print(period.describe())
        if period.room is not None and total > period.room:
            console.print("  That is too little: some photos will wait.", style="yellow")


def _estimates_as_json(
    ledger: Ledger, estimates: Sequence[tuple[Path, PhotoEstimate]]
) -> dict[str, object]:
    return {
        "photos": [
            {
                "file": str(file),
                "jobId": photo.key.job_id,
                "theme": photo.key.theme,
                "cutoutUsd": str(photo.cutout),
                "backgroundUsd": str(photo.background),
                "totalUsd": str(photo.total),
                "reused": list(photo.reused),
                "standing": photo.standing or None,
            }
            for file, photo in estimates
        ],
        "totalUsd": str(_total(estimates)),
    } | {
        period.span: period_as_json(period)
        for period in (ledger.budget.day(), ledger.budget.month())
    }


def _total(estimates: Sequence[tuple[Path, PhotoEstimate]]) -> Decimal:
    return sum((photo.total for _, photo in estimates), Decimal(0))


def _read(files: Sequence[Path], settings: Settings) -> list[_Photo]:
    """All files as photos; where some are none, say which and why, and end with status 1."""
    from photopipe_dagster.imaging.decode import inspect

    limits = {"max_pixels": settings.image_max_pixels, "min_side": settings.image_min_side}
    photos, refused = [], []
    for file in files:
        data = file.read_bytes()
        try:
            info = inspect(data, **limits)
        except PhotoRejectedError as error:
            refused.append((file, error.message))
            continue
        size = (info.width, info.height)
        photos.append(_Photo(file, data, digest(data), info.content_type, size))
    if refused:
        table = Table("File", "Why", title="Not usable", expand=True)
        table.columns[0].overflow = "fold"
        table.columns[0].ratio, table.columns[1].ratio = 1, 2
        for file, why in refused:
            table.add_row(Text(one_line(file.name)), Text(why))
        errors.print(table)
        print_error(f"{len(refused)} of {len(files)} files: nothing was submitted.")
        raise SystemExit(1)
    return photos
