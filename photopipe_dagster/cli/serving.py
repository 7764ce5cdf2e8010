"""Commands that keep running: the API, the stand-ins, everything at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photopipe_dagster.cli.screen import read_settings


def demo(
    provider: Annotated[str, typer.Option(help="local, or freepik over its stand-in.")] = "local",
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its data.")] = Path("demo"),
) -> None:
    """Take photos all the way to a stand-in of Shopify, twice, and show what came of it."""
    from photopipe_dagster.demo.run import run_demo

    raise SystemExit(run_demo(provider, folder))


def dev(
    photos: Annotated[
        bool, typer.Option(help="Bring the demo's photos in, if 3JMS and Shopify are stand-ins.")
    ] = True,
) -> None:
    """Run everything on this machine until Ctrl-C: Dagster's UI on 3000, the API on 4000."""
    from photopipe_dagster.demo.dev import run_dev

    raise SystemExit(run_dev(read_settings(), photos=photos))


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
) -> None:
    """Serve stand-ins of 3JMS, Freepik/Magnific and Shopify, as strict as the real ones."""
    from photopipe_dagster.demo.sandbox import serve_sandbox

    serve_sandbox(read_settings(), port, webhook_secret, real_pictures=real_pictures)
