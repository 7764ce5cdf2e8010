"""`photopipe token …`: who may use the API."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer
from rich.table import Table

from photopipe_dagster.cli.console import AsJson, console, errors, print_json, read_settings
from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.tokens import Scope, Token

app = typer.Typer(
    help="Make, list and revoke tokens: people sign in to the pages with one, programs send one.",
    no_args_is_help=True,
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who or what will use it.")],
    scope: Annotated[
        list[Scope], typer.Option(help="What it permits; each permits what the ones before do.")
    ] = [Scope.READ],  # noqa: B006  # typer reads it, nothing changes it
    days: Annotated[
        int | None, typer.Option(min=1, help="Valid for so long; else forever.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a token. It is shown once: only its digest is kept."""
    lifetime = None if days is None else timedelta(days=days)
    settings = read_settings()
    tokens = Ledger.open(settings).tokens
    first = not tokens.exist()
    try:
        token, secret = tokens.create(name, scope, lifetime=lifetime)
    except ValueError as error:
        raise PhotopipeError(str(error)) from None
    if as_json:
        print_json({**_as_json(token), "token": secret})
        return
    errors.print(f"Token {token.id} of {token.name}. Keep it now: it cannot be shown again.")
    if first and settings.api_auth == "auto":
        errors.print("From now on the API and the pages ask for a token (API_AUTH).")
    print(secret)  # noqa: T201  # alone on standard output, so that a shell can take it


@app.command("list")
def list_tokens(as_json: AsJson = False) -> None:
    """List all tokens."""
    ledger = Ledger.open(read_settings())
    tokens = ledger.tokens.all()
    if as_json:
        print_json([_as_json(token) for token in tokens])
        return
    table = Table("Number", "Name", "Scopes", "Made", "Last used", "State", title="Tokens")
    for token in tokens:
        used = "never" if token.last_used_at is None else f"{token.last_used_at:%Y-%m-%d %H:%M}"
        state = "valid" if token.valid(ledger.database.now()) else "expired"
        if token.revoked_at is not None:
            state = f"revoked {token.revoked_at:%Y-%m-%d}"
        elif token.expires_at is not None:
            state += f" ({token.expires_at:%Y-%m-%d})"
        made = f"{token.created_at:%Y-%m-%d}"
        table.add_row(str(token.id), token.name, _scopes(token), made, used, state)
    console.print(table)


@app.command()
def revoke(number: Annotated[int, typer.Argument(help="Its number; see `token list`.")]) -> None:
    """Make a token useless, within seconds and for good."""
    token = Ledger.open(read_settings()).tokens.revoke(number)
    console.print(f"Token {token.id} of {token.name} is revoked.")


def _scopes(token: Token) -> str:
    return ", ".join(scope for scope in Scope if scope in token.scopes)


def _as_json(token: Token) -> dict[str, object]:
    return asdict(token) | {"scopes": [scope for scope in Scope if scope in token.scopes]}
