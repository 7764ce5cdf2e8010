"""`photopipe scene …`: pictures that a whole collection stands in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from photopipe_dagster.cli.console import (
    AsJson,
    console,
    counted,
    person,
    print_json,
    read_settings,
)
from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.core.money import usd
from photopipe_dagster.core.screen import one_line
from photopipe_dagster.imaging.scene_view import SAID
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.product_sizes import ProductSize
from photopipe_dagster.ledger.scenes import SceneRevision, SceneState
from photopipe_dagster.storage.factory import object_store

app = typer.Typer(
    help="Scenes: one approved picture that all products of a theme stand in.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="The scene's name.")]
Revision = Annotated[int | None, typer.Option(min=1, help="Which revision; else the newest.")]
Said = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help=f"What you know of it, else estimated; repeat it. Names: {', '.join(SAID)}. Lengths "
        "are shares of the picture, `stand` is left,right, `safe` left,top,right,bottom; light "
        "from azimuth 270 comes from the left, from 0 from behind the product.",
    ),
]

_COLUMNS: Final = ("sku", "height_cm", "size_class")


@app.command()
def add(
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="JPEG, PNG or WebP."),
    ],
    name: Annotated[str, typer.Option(help="Lower-case letters, digits and '-'.")],
    said: Said = None,
    approve: Annotated[bool, typer.Option("--approve", help="Use it at once.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add a picture of your own; what you do not say is estimated from it."""
    from photopipe_dagster.operations.scenes import NOT_LOOKED_FOR, add_scene, read_said

    settings = read_settings()
    added = add_scene(
        Ledger.open(settings),
        object_store(settings),
        name,
        file.read_bytes(),
        by=person(),
        said=read_said(said or ()),
        approve=approve,
    )
    _print(added, as_json)
    if not as_json and added.state is SceneState.DRAFT:
        console.print(f"{NOT_LOOKED_FOR} Then: photopipe scene approve {added.name}")


@app.command()
def make(
    name: Annotated[str, typer.Argument(help="The scene's name; each picture becomes a draft.")],
    theme: Annotated[str, typer.Option(help="Whose prompt and light it has.")],
    count: Annotated[int, typer.Option(min=1, max=12, help="Make several, keep the best.")] = 1,
    size: Annotated[str, typer.Option(help="Pixels, larger than your canvas.")] = "2048x2048",
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before something is paid.")
    ] = False,
) -> None:
    """Have scenes made by the theme's provider. What was bought by the same command is not bought
    again."""
    import asyncio
    import secrets

    from photopipe_dagster.imaging.placement import Canvas
    from photopipe_dagster.pipeline.scenes import SceneWish, make_scenes, price_of
    from photopipe_dagster.runtime.services import open_services

    settings = read_settings()
    try:
        canvas = Canvas.parse(size)
    except ValueError as error:
        raise PhotopipeError(f"--size: {error}") from None
    if canvas is None or not canvas.fixed:
        raise PhotopipeError("--size is pixels, such as 2048x2048.")

    async def made() -> None:
        async with open_services(settings) as services:
            wish = SceneWish(name, services.themes.get(theme), canvas.width, canvas.height, count)
            price = price_of(services, wish)
            if price:
                console.print(f"{counted(count, 'picture')}: {usd(price)} USD at most.")
                if not yes and not typer.confirm("Buy?"):
                    raise PhotopipeError("Nothing was bought. Use --yes to skip the prompt.")
            owner = f"scene-{secrets.token_hex(6)}"
            async for scene in make_scenes(services, wish, by=person(), owner=owner):
                _print(scene, as_json=False)

    asyncio.run(made())
    console.print(f"Look at them on the page /scenes/{name}, and approve the best.")


@app.command("set")
def set_view(
    name: Name,
    said: Said = None,
    as_json: AsJson = False,
) -> None:
    """Say what the estimates got wrong: a new revision of the same picture, to be approved."""
    from photopipe_dagster.operations.scenes import change_scene, read_said

    ledger = Ledger.open(read_settings())
    newest = ledger.scenes.history(name)[0].revision
    _print(change_scene(ledger, name, newest, read_said(said or ()), by=person()), as_json)


@app.command("list")
def list_scenes(as_json: AsJson = False) -> None:
    """List all scenes, the newest revision of each."""
    found = Ledger.open(read_settings()).scenes.newest()
    if as_json:
        print_json([scene_as_json(scene) for scene in found])
        return
    table = Table("Scene", "State", "Size", "Ground", "Light", "From", "USD", title="Scenes")
    for scene in found:
        view = scene.view
        table.add_row(
            scene.label,
            scene.state,
            f"{view.width}×{view.height}",
            f"{view.ground:.0%}",
            f"{view.light.azimuth_degrees:.0f}°, soft {view.light.softness:.1f}",
            Text(one_line(scene.picture.provider)),
            usd(scene.picture.cost),
        )
    console.print(table)


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show all revisions of a scene."""
    history = Ledger.open(read_settings()).scenes.history(name)
    if as_json:
        print_json([scene_as_json(scene) for scene in history])
        return
    for scene in history:
        _print(scene, as_json=False)


@app.command()
def approve(name: Name, revision: Revision = None) -> None:
    """Let photos stand in a scene from now on. Those that are made stay as they are."""
    scenes = Ledger.open(read_settings()).scenes
    found = scenes.decide(name, SceneState.APPROVED, by=person(), revision=revision)
    console.print(f"{found.label} is approved.")


@app.command()
def archive(name: Name, revision: Revision = None) -> None:
    """Let no new photo stand in a scene, or in one revision of it. Its picture is kept."""
    scenes = Ledger.open(read_settings()).scenes
    scenes.decide(name, SceneState.ARCHIVED, by=person(), revision=revision)
    console.print(f"{name if revision is None else f'{name}@{revision}'} is archived.")


@app.command()
def sizes(
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="CSV: sku, height_cm, size_class."),
    ],
) -> None:
    """Read how large products are in life, for themes whose scale is `true` or `class`."""
    known = Ledger.open(read_settings()).product_sizes
    console.print(f"{counted(known.put(list(_sizes(file))), 'product')} read.")


def _sizes(file: Path) -> Iterator[ProductSize]:
    from photopipe_dagster.operations.imports import read_csv

    for number, row in read_csv(file):
        if "sku" not in row or len({*row} & {*_COLUMNS}) < 2:
            raise PhotopipeError(
                f"{file.name} needs a first line with sku and height_cm, size_class, or both."
            )
        height = row.get("height_cm", "").strip()
        try:
            yield ProductSize(
                row["sku"].strip(),
                float(height) if height else None,
                row.get("size_class", "").strip().upper() or None,
            )
        except ValueError:
            wrong = f"height_cm is {height[:40]!r}; write centimetres, such as 12.5."
        except PhotopipeError as error:
            wrong = str(error)
        else:
            continue
        raise PhotopipeError(f"Line {number} of {file.name}: {wrong} Nothing was read.")


def scene_as_json(scene: SceneRevision) -> dict[str, Any]:
    """For programs."""
    return {
        "name": scene.name,
        "revision": scene.revision,
        "state": scene.state,
        "digest": scene.picture.digest,
        **scene.view.to_json(),
        "confidence": dict(scene.picture.confidence),
        "provider": scene.picture.provider,
        "model": scene.picture.model,
        "costUsd": str(scene.picture.cost),
        "madeBy": scene.made_by,
        "madeAt": scene.made_at,
    }


def _print(scene: SceneRevision, as_json: bool) -> None:
    if as_json:
        print_json(scene_as_json(scene))
        return
    view, light, sure = scene.view, scene.view.light, scene.picture.confidence
    console.print(
        f"{scene.label} ({scene.state}): {view.width}×{view.height} pixels, by {scene.made_by}"
    )

    def line(what: str, value: str, key: str) -> None:
        note = ""
        if key in sure:
            told = f"estimated, confidence {sure[key]:.0%}" if sure[key] else "the usual value"
            note = f"  ({told})"
        console.print(f"  {what}: {value}{note}")

    line("ground line", f"{view.ground:.3f} of the height", "ground")
    line("light from", f"{light.azimuth_degrees:.0f}°", "azimuth")
    line("light's height", f"{light.elevation_degrees:.0f}°", "elevation")
    line("softness", f"{light.softness:.2f}", "softness")
    line("camera looks down", f"{view.pitch_degrees:.0f}°", "pitch_degrees")
    per_cm = "not known" if view.pixels_per_cm is None else f"{view.pixels_per_cm:.1f}"
    line("pixels per centimetre", per_cm, "pixels_per_cm")
