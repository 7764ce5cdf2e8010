"""The command line: `photopipe …`."""

from __future__ import annotations

import asyncio
import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from photopipe_dagster.errors import ErrorCode, PhotopipeError, PhotoRejected
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.budget import Period
from photopipe_dagster.ledger.jobs import Job, JobFilter
from photopipe_dagster.ledger.statuses import JobStatus
from photopipe_dagster.photo import PhotoKey, Stage
from photopipe_dagster.settings import Settings
from photopipe_dagster.storage.factory import object_store

app = typer.Typer(
    help="Product photos in, pictures that sell out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_console = Console()
_errors = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Limit = Annotated[int, typer.Option(min=1, help="How many to show.")]


def main() -> None:
    """Run a command; what users can mend is said in one line, without a stack trace."""
    try:
        app()
    except (PhotopipeError, OSError) as error:
        _errors.print(f"[red]{error}[/red]")
        raise SystemExit(1) from None


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            where = ".".join(str(part) for part in problem["loc"]).upper() or "Settings"
            _errors.print(f"[red]{where}: {problem['msg']}[/red]")
        raise SystemExit(2) from None


@app.command()
def api() -> None:
    """Serve webhooks, jobs, files and health."""
    from photopipe_dagster.api.server import serve

    serve(_settings())


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 4010,
    webhook_secret: Annotated[str, typer.Option(envvar="THREEJMS_WEBHOOK_SECRET")] = "",
    real_pictures: Annotated[
        bool, typer.Option(help="Cut out and paint with the local models, as the real ones would.")
    ] = False,
) -> None:
    """Serve stand-ins of 3JMS, Freepik/Magnific and Shopify, as strict as the real ones."""
    from photopipe_dagster.demo.sandbox import serve_sandbox

    serve_sandbox(_settings(), port, webhook_secret, real_pictures=real_pictures)


@app.command()
def demo(
    provider: Annotated[str, typer.Option(help="local, or freepik over its stand-in.")] = "local",
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its data.")] = Path("demo"),
) -> None:
    """Take photos all the way to a stand-in of Shopify, twice, and show what came of it."""
    from photopipe_dagster.demo.run import run_demo

    raise SystemExit(run_demo(provider, folder))


@app.command()
def dev(
    photos: Annotated[
        bool, typer.Option(help="Bring the demo's photos in, if 3JMS and Shopify are stand-ins.")
    ] = True,
) -> None:
    """Run everything on this machine until Ctrl-C: Dagster's UI on 3000, the API on 4000."""
    from photopipe_dagster.demo.dev import run_dev

    raise SystemExit(run_dev(_settings(), photos=photos))


@app.command()
def submit(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, readable=True)],
    sku: Annotated[str, typer.Option(help="The product's SKU.")],
    theme: Annotated[
        list[str] | None, typer.Option(help="Theme; repeat for several. Default: DEFAULT_THEME.")
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only say what it would cost; submit nothing.")
    ] = False,
) -> None:
    """Put photos from files into the pipeline; the running daemon takes them up."""
    settings = _settings()
    ledger, store = Ledger.open(settings), object_store(settings)
    themes = theme or [settings.default_theme]
    for name in themes:
        if name not in settings.supported_themes:
            raise PhotoRejected(
                f"There is no theme {name!r}; choose one of {', '.join(settings.supported_themes)}."
            )
    from photopipe_dagster.imaging.decode import inspect

    if estimate or len(files) > 1:
        from photopipe_dagster import submission

        submission.print_estimate(_console, settings, ledger, store, files, sku, themes)
    if estimate:
        return
    photos = []
    for file in files:  # all are looked at before the first becomes a job
        data = file.read_bytes()
        limits = {"max_pixels": settings.image_max_pixels, "min_side": settings.image_min_side}
        try:
            photos.append((file, data, inspect(data, **limits)))
        except PhotoRejected as error:
            raise PhotoRejected(f"{file}: {error.message}") from None
    for file, data, info in photos:
        for name in themes:
            key = PhotoKey(sku, hashlib.sha256(data).hexdigest(), name)
            object_key = key.object_key(Stage.ORIGINAL)
            if store.head(object_key) is None:
                store.put(object_key, data, content_type=info.content_type)
            submitted = ledger.jobs.submit(key, "submit")
            word = "created" if submitted.created else f"known, {submitted.job.status}"
            _console.print(f"{file.name} in {name}: job {submitted.job.id} ({word})")


@app.command()
def status(
    job: Annotated[str | None, typer.Argument(help="One job by its id; all where none.")] = None,
    only: Annotated[JobStatus | None, typer.Option("--status", help="Only this status.")] = None,
    sku: Annotated[str | None, typer.Option(help="Only this SKU.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Show jobs, newest first, and why those that failed did."""
    ledger = Ledger.open(_settings())
    if job is not None:
        found = ledger.jobs.get(job)
        if found is None:
            raise PhotopipeError(f"There is no job {job}; `photopipe status` lists them.")
        jobs = [found]
    else:
        jobs = ledger.jobs.find(JobFilter(status=only, sku=sku), limit=limit)
    if as_json:
        _print_json([_as_json(each) for each in jobs])
        return
    table = Table("Job", "SKU", "Theme", "Status", "USD", "Why", title="Jobs")
    for each in jobs:
        why = "" if each.error_code is None else f"{each.error_code}: {each.error_message}"
        if each.retry_at is not None:
            why += f" (tried again at {each.retry_at:%H:%M} UTC)"
        colour = {JobStatus.DONE: "green", JobStatus.FAILED: "red"}.get(each.status, "yellow")
        table.add_row(
            each.id,
            each.key.sku,
            each.key.theme,
            f"[{colour}]{each.status}[/{colour}]",
            _usd(each.total_cost),
            why,
        )
    _console.print(table)
    stats = ledger.jobs.stats()
    counts = ", ".join(f"{count} {name}" for name, count in stats.by_status.items() if count)
    _console.print(f"{stats.total} jobs ({counts or 'none yet'}), {_usd(stats.total_cost)} USD")
    rejected = ledger.watermarks.rejections()
    if rejected:
        _console.print(f"[yellow]{len(rejected)} announcements could not become jobs:[/yellow]")
        for rejection in rejected:
            _console.print(f"  {rejection.announcement.get('sku', '?')}: {rejection.reason}")


@app.command()
def costs(as_json: AsJson = False) -> None:
    """Show what was spent, by provider and stage, today and this month, and the limits."""
    ledger = Ledger.open(_settings())
    rows = ledger.spending.by("provider", "stage", "state")
    unknown, discarded = ledger.spending.lost()
    periods = (ledger.budget.day(), ledger.budget.month())
    if as_json:
        shown: dict[str, object] = {
            "spending": [{**row, "amount": str(row["amount"])} for row in rows],
            "total": str(ledger.spending.total()),
            "unknown": str(unknown),
            "discarded": str(discarded),
        }
        shown |= {period.span: _period_as_json(period) for period in periods}
        _print_json(shown)
        return
    table = Table("Provider", "Stage", "State", "Calls", "USD", title="Spending")
    for row in rows:
        table.add_row(
            row["provider"],
            row["stage"],
            row["state"],
            str(row["attempts"]),
            _usd(row["amount"]),
        )
    _console.print(table)
    _console.print(f"Total {_usd(ledger.spending.total())} USD, of which")
    _console.print(f"  {_usd(unknown)} USD for calls that nobody answered (perhaps not billed)")
    _console.print(f"  {_usd(discarded)} USD for what is lost or unusable")
    for period in periods:
        _console.print(period.describe())


@app.command()
def retry(jobs: Annotated[list[str], typer.Argument(help="Jobs by their ids.")]) -> None:
    """Try FAILED jobs again now; what was made and paid for is reused."""
    ledger = Ledger.open(_settings())
    for name in jobs:
        if ledger.jobs.get(name) is None:
            raise PhotopipeError(f"There is no job {name}; `photopipe status` lists them.")
        job = ledger.jobs.retry(name)
        if job.error_code is ErrorCode.COST_LIMIT_ERROR:
            _console.print(f"{name} goes out again as soon as there is budget for it.")
        else:
            _console.print(f"{name} goes out again as soon as the daemon looks.")


@app.command()
def unpublish(job: Annotated[str, typer.Argument(help="The job by its id.")]) -> None:
    """Take a job's picture off its product; what it replaced comes back in its place."""
    from photopipe_dagster import unpublishing
    from photopipe_dagster.shopify.client import ShopifyClient

    settings = _settings()

    async def run() -> unpublishing.Unpublished:
        ledger = Ledger.open(settings)
        async with ShopifyClient.from_settings(settings) as client:
            return await unpublishing.unpublish(settings, ledger, client, job)

    done = asyncio.run(run())
    for media_id in done.taken:
        _console.print(f"{job}: {media_id} is off its product; its file stays in Shopify.")
    if not done.taken:
        _console.print(f"{job}: nothing of it is on a product.")
    if done.restored is not None:
        _console.print(f"{done.restored}, which stood there before, is back in its place.")
    if done.lost is not None:
        _console.print(f"{done.lost}, which stood there before, is gone from Shopify.")
    again = f"materialize shopify_media of {done.job.key} in Dagster"
    if done.job.retry_at is not None:
        again = f"nothing to do, it is tried again from {done.job.retry_at:%Y-%m-%d %H:%M} UTC"
    elif done.job.status is JobStatus.FAILED:
        again = f"`photopipe retry {job}`"
    _console.print(f"To publish it again: {again}.", soft_wrap=True, markup=False)


@app.command()
def doctor() -> None:
    """Check that everything that is configured works; say what to do where it does not."""
    from photopipe_dagster.doctor import examine

    healthy = True
    for finding in examine(_settings()):
        mark = "[green]ok[/green]" if finding.ok else "[red]no[/red]"
        _console.print(f"{mark}  {finding.what}: {finding.says}")
        healthy = healthy and finding.ok
    raise SystemExit(0 if healthy else 1)


def _as_json(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "sku": job.key.sku,
        "sha256": job.key.sha256,
        "theme": job.key.theme,
        "status": job.status,
        "costUsd": str(job.total_cost),
        "errorCode": job.error_code,
        "errorMessage": job.error_message,
        "errorDetails": job.error_details,
        "retryCount": job.retry_count,
        "retryAt": None if job.retry_at is None else job.retry_at.isoformat(),
        "partitionKey": job.key.partition_key,
        "shopifyProductId": job.shopify_product_id,
        "shopifyMediaId": job.shopify_media_id,
        "createdAt": job.created_at.isoformat(),
        "completedAt": None if job.completed_at is None else job.completed_at.isoformat(),
    }


def _period_as_json(period: Period) -> dict[str, str | None]:
    return {
        "spent": str(period.spent),
        "limit": None if period.limit is None else str(period.limit),
        "left": None if period.room is None else str(period.room),
        "ends": period.ends.isoformat(),
    }


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, default=str))  # noqa: T201 - for other programs to read


def _usd(amount: Decimal) -> str:
    return f"{amount:.2f}" if amount == amount.quantize(Decimal("0.01")) else f"{amount:f}"
