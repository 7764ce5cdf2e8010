"""`photopipe theme …`: the themes that there are, and the shop's own."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from photopipe_dagster.cli.console import (
    AsJson,
    console,
    errors,
    person,
    print_json,
    read_settings,
)
from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.operations import theme_files
from photopipe_dagster.operations import themes as work
from photopipe_dagster.operations.theme_files import MAX_ARCHIVE_BYTES, export_theme
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster.themes.lint import lint
from photopipe_dagster.themes.model import Theme
from photopipe_dagster.themes.record import MAX_FILE_BYTES, as_record, flat, read_file
from photopipe_dagster.themes.registry import ThemeRevision

app = typer.Typer(
    help="List, make, edit and share themes. Those that ship are read-only, and can be copied.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="The theme's name; see `theme list`.")]
NewName = Annotated[str, typer.Argument(help="Lower-case letters, digits and -.")]
File = Annotated[
    Path,
    typer.Argument(exists=True, dir_okay=False, readable=True, help="Of `theme export`."),
]


def _opened() -> tuple[Settings, Ledger]:
    settings = read_settings()
    return settings, Ledger.open(settings)


@app.command("list")
def list_themes(as_json: AsJson = False) -> None:
    """List all themes, and whether new photos may have them."""
    settings, ledger = _opened()
    own = {each.theme.name: each for each in ledger.themes.all()}
    registry = ledger.themes.registry(settings)
    if as_json:
        print_json([_as_json(each, own.get(each.name)) for each in registry])
        return
    table = Table("Theme", "Revision", "Offered", "Last changed", "Scene", title="Themes")
    for theme in registry:
        made = own.get(theme.name)
        state = "yes" if theme.name in registry.offered else "no"
        if theme.name == registry.default:
            state = "by default"
        if made is not None and made.archived:
            state = "archived"
        revision, changed = "built in", ""
        if made is not None:
            revision = str(made.revision)
            changed = f"{made.made_at:%Y-%m-%d} by {made.made_by}"
        table.add_row(theme.name, revision, state, Text(changed), Text(theme.alt))
    console.print(table)


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show a theme, what will go wrong with it, and who has changed it."""
    _, ledger = _opened()
    theme = work.find_theme(ledger, name)
    history = work.history_of(ledger, name)
    if as_json:
        print_json(
            _as_json(theme, history[-1] if history else None)
            | {"theme": as_record(theme), "revisions": [_revision(each) for each in history]}
        )
        return
    table = Table("Field", "Value", title=f"Theme {name}", show_lines=False)
    for field, value in flat(as_record(theme)):
        table.add_row(field, Text(str(value)))
    console.print(table)
    for each in history:
        done = "archived" if each.archived else "saved"
        console.print(
            Text(f"Revision {each.revision}: {done} by {each.made_by}, {each.made_at:%Y-%m-%d}")
        )
    _warn(theme)


@app.command()
def export(
    name: Name,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="A file; else printed.")
    ] = None,
) -> None:
    """Write a theme as a file, for git or another shop: JSON, or a ZIP with its scenes."""
    settings, ledger = _opened()
    file = export_theme(ledger, object_store(settings), name)
    if output is not None:
        output.write_bytes(file.data)
    elif file.suffix == "json" or not sys.stdout.isatty():
        sys.stdout.buffer.write(file.data)
    else:
        raise PhotopipeError(f"The theme comes with its scenes, as an archive: -o {name}.zip.")


@app.command("import")
def import_theme(
    file: File,
    name: Annotated[
        str | None, typer.Option("--as", help="Another name than the file's, if that is taken.")
    ] = None,
) -> None:
    """Make a new theme from a file, with the scenes that come with it."""
    settings, ledger = _opened()
    with file.open("rb") as opened:
        data = opened.read(MAX_ARCHIVE_BYTES + 1)
    store = object_store(settings)
    _told(theme_files.import_theme(settings, ledger, store, data, by=person(), name=name))


@app.command()
def create(
    name: NewName,
    prompt: Annotated[str, typer.Option(help="The empty scene, in words.")],
    alt: Annotated[str, typer.Option(help="Where the product is, for the picture's description.")],
    like: Annotated[str, typer.Option(help="The theme that all else is taken from.")] = "default",
) -> None:
    """Make a new theme from a prompt; edit its light and placement afterwards."""
    settings, ledger = _opened()
    theme = work.copied(work.find_theme(ledger, like), name)
    theme = replace(theme, prompt=prompt, alt=alt)
    _told(work.create_theme(settings, ledger, theme, by=person()))


@app.command()
def copy(name: Name, new_name: NewName) -> None:
    """Make a new theme like another one, such as one that ships."""
    settings, ledger = _opened()
    _told(work.copy_theme(settings, ledger, name, new_name, by=person()))


@app.command()
def edit(
    file: File,
    revision: Annotated[
        int, typer.Option(min=1, help="The revision that the file was exported from.")
    ],
) -> None:
    """Change a theme to what a file says. Refused where somebody else has changed it since."""
    settings, ledger = _opened()
    theme = _read(file)
    _told(work.edit_theme(settings, ledger, theme, based_on=revision, by=person()))


@app.command()
def archive(name: Name) -> None:
    """Offer a theme to no new photo; photos that have it keep it. `theme edit` brings it back."""
    settings, ledger = _opened()
    history = work.history_of(ledger, name)
    revision = history[-1].revision if history else 0
    work.archive_theme(settings, ledger, name, based_on=revision, by=person())
    console.print(Text(f"{name} is archived."))


def _read(file: Path) -> Theme:
    with file.open("rb") as opened:
        return read_file(opened.read(MAX_FILE_BYTES + 1))


def _told(made: ThemeRevision) -> None:
    console.print(Text(f"{made.theme.name} is saved as revision {made.revision}."))
    _warn(made.theme)


def _warn(theme: Theme) -> None:
    for each in lint(theme):
        errors.print(Text(f"{each.field}: {each.says}", style="yellow"), soft_wrap=True)


def _as_json(theme: Theme, own: ThemeRevision | None) -> dict[str, object]:
    return {
        "name": theme.name,
        "builtIn": own is None,
        **({} if own is None else _revision(own)),
        "warnings": [asdict(each) for each in lint(theme)],
    }


def _revision(made: ThemeRevision) -> dict[str, object]:
    return {
        "revision": made.revision,
        "archived": made.archived,
        "madeBy": made.made_by,
        "madeAt": made.made_at,
    }
