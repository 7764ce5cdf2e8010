"""`photopipe doctor`: does what is configured work? `photopipe reconcile`: do all truths agree?"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from photopipe_dagster.cli.console import AsJson, console, print_json, read_settings
from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.settings import Settings


def doctor(
    compare: Annotated[
        bool, typer.Option("--reconcile", hidden=True, help="See reconcile.")
    ] = False,
    repair: Annotated[bool, typer.Option("--repair", hidden=True, help="See reconcile.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check that everything that is configured works; say what to do where it does not.

    Ends with status 1 if somebody has to do something.
    """
    settings = read_settings()
    if compare:  # what `photopipe reconcile` was in earlier versions
        raise SystemExit(_reconcile(settings, repair=repair, as_json=as_json))
    if repair:
        raise ConfigurationError("--repair goes with --reconcile.")
    from photopipe_dagster.operations.doctor import examine

    findings = list(examine(settings))
    if as_json:
        print_json([{"what": each.what, "ok": each.ok, "says": each.says} for each in findings])
    else:
        for finding in findings:
            mark = Text("ok", style="green") if finding.ok else Text("no", style="red")
            console.print(mark, f" {finding.what}: {finding.says}")
    raise SystemExit(0 if all(finding.ok for finding in findings) else 1)


def reconcile(
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Repair what can be repaired without paying, publishing twice or deleting.",
        ),
    ] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Also read every stored picture and prove its SHA-256."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the ledger with the object store, Dagster and the shop.

    Ends with status 1 if somebody has to do something.
    """
    raise SystemExit(_reconcile(read_settings(), repair=repair, verify=verify, as_json=as_json))


def _reconcile(settings: Settings, *, repair: bool, as_json: bool, verify: bool = False) -> int:
    from photopipe_dagster.ledger import Ledger
    from photopipe_dagster.operations.dagster_instance import dagster_instance
    from photopipe_dagster.operations.reconciliation.reconciler import Reconciler
    from photopipe_dagster.storage.factory import object_store

    reconciler = Reconciler(
        settings, Ledger.open(settings), object_store(settings), dagster_instance(settings.data_dir)
    )
    if as_json:
        report = reconciler.run(repair=repair, verify=verify)
        print_json(report.as_json())
    else:
        with console.status("Comparing …"):
            report = reconciler.run(repair=repair, verify=verify)
        report.print(console)
    return 1 if report.needs_person else 0
