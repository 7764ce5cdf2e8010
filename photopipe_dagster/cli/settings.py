"""`photopipe settings`: every variable of this installation, and which are set."""

from __future__ import annotations

from itertools import groupby

from rich.table import Table
from rich.text import Text

from photopipe_dagster.cli.console import AsJson, console, print_json, read_settings
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.runtime.configuration import variables


def settings(as_json: AsJson = False) -> None:
    """List all variables, also of other packages' plug-ins: what each does, and whether it is set.

    Values are not shown, since some are secret.
    """
    configured = read_settings(_read)
    found = [
        (variable, variable.field in variable.holder(configured).model_fields_set)
        for variable in variables()
    ]
    if as_json:
        print_json(
            [
                {
                    "section": each.section,
                    "name": each.name,
                    "set": is_set,
                    "secret": each.secret,
                    "default": each.default,
                    "description": each.info.description,
                }
                for each, is_set in found
            ]
        )
        return
    for section, members in groupby(found, lambda each: each[0].section):
        table = Table(title=section, title_justify="left", box=None, pad_edge=False)
        table.add_column("Variable", no_wrap=True)
        for heading in ("Set", "Default", "What it does"):
            table.add_column(heading, overflow="fold")
        for each, is_set in members:
            mark = Text("yes", style="green") if is_set else "no"
            table.add_row(each.name, mark, each.default, each.info.description or "")
        console.print(table)


def _read() -> Settings:
    """The settings, whether they can work together or not: anyone who fixes them looks here."""
    settings = Settings()
    for variable in variables():
        variable.holder(settings)
    return settings
