"""`photopipe collection …`: whether the pictures of a theme look alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from photopipe_dagster.cli.console import AsJson, console, print_json, read_settings
from photopipe_dagster.core.screen import one_line
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.storage.factory import object_store

if TYPE_CHECKING:
    from photopipe_dagster.operations.collection import CollectionReport

app = typer.Typer(help="Whether the pictures of a theme look alike.", no_args_is_help=True)


@app.callback()
def collection() -> None:
    """Whether the pictures of a theme look alike."""


@app.command()
def report(
    theme: Annotated[str, typer.Option(help="Which theme's newest pictures.")],
    sheet: Annotated[
        Path | None, typer.Option(help="Write the pictures as the shop's grid shows them: a PNG.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure ground line, optical size, shadow and colour; what is set apart comes first."""
    from photopipe_dagster.operations.collection import collection_report

    settings = read_settings()
    ledger = Ledger.open(settings)
    name = ledger.themes.registry(settings).get(theme).name
    found = collection_report(ledger, object_store(settings), name)
    if sheet is not None:
        sheet.write_bytes(found.sheet())
    if as_json:
        print_json(_as_json(found))
        return
    table = Table(
        "SKU", "Ground", "Size", "Light", "Colour", "Scale", "Set apart", title="Collection"
    )
    for look in found.looks:
        table.add_row(
            Text(one_line(look.job.key.sku)),
            "" if look.ground is None else f"{look.ground:.1%}",
            "" if look.optical is None else f"{look.optical:.3f}",
            "" if look.shadow is None else f"{look.shadow:.0f}°",
            look.colour_hex,
            look.scaled_by or "",
            " ".join(look.faults),
        )
    console.print(table)
    console.print(f"{found.summary}.")


def _as_json(found: CollectionReport) -> dict[str, Any]:
    return {
        "theme": found.theme,
        "outliers": found.outliers,
        "groundSpread": found.ground_spread,
        "opticalSpread": found.optical_spread,
        "products": [
            {
                "sku": look.job.key.sku,
                "jobId": look.job.id,
                "ground": look.ground,
                "optical": look.optical,
                "shadow": look.shadow,
                "colour": look.colour_hex,
                "scene": look.scene,
                "scaledBy": look.scaled_by,
                "faults": list(look.faults),
            }
            for look in found.looks
        ],
    }
