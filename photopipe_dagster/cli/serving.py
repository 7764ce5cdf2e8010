"""Commands that keep running: the API, the simulators, everything at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photopipe_dagster.cli.console import read_settings


def demo(
    provider: Annotated[str, typer.Option(help="local, or one that has a simulator.")] = "local",
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its data.")] = Path("demo"),
) -> None:
    """Take photos all the way to a simulator of a shop, twice, and show what came of it."""
    from photopipe_dagster.demo.run import run_demo

    raise SystemExit(run_demo(provider, folder))


def dev(
    photos: Annotated[
        bool, typer.Option(help="Bring the demo's photos in, if 3JMS and the shop are simulators.")
    ] = True,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the API (default: $PORT or 4000).")
    ] = None,
    dagster_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of Dagster's UI.")
    ] = 3000,
    sandbox_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the simulators.")
    ] = 4010,
) -> None:
    """Run everything on this machine until Ctrl-C: Dagster's UI, the API, and simulators."""
    from photopipe_dagster.demo.dev import Ports, run_dev

    settings = read_settings()
    if port is not None:
        settings = settings.model_copy(update={"port": port})
    raise SystemExit(run_dev(settings, photos=photos, ports=Ports(dagster_port, sandbox_port)))


def api() -> None:
    """Serve the pages, the webhook and the REST API on HOST and PORT, as `photopipe dev` does."""
    from photopipe_dagster.api.server import serve

    serve(read_settings())


def sandbox(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 4010,
    webhook_secret: Annotated[
        str, typer.Option(envvar="THREEJMS_WEBHOOK_SECRET", help="Signs the webhooks of 3JMS.")
    ] = "",
    real_pictures: Annotated[
        bool, typer.Option(help="Cut out and paint with the local models, as the real ones would.")
    ] = False,
    keep: Annotated[
        bool, typer.Option(help="Keep the shop in DATA_DIR, for the next start.")
    ] = False,
) -> None:
    """Serve simulators of 3JMS, Freepik/Magnific and Shopify, as strict as the real ones."""
    from photopipe_dagster.demo.realistic_sandbox import serve_sandbox

    serve_sandbox(read_settings(), port, webhook_secret, real_pictures=real_pictures, keep=keep)
