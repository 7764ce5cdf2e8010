"""What the app may do in the store, asked before anything is tried."""

from __future__ import annotations

from typing import Final

from photopipe_dagster.shopify.client import ShopifyClient
from photopipe_dagster.shopify.models import Model, read

NEEDED_SCOPES: Final = ("read_products", "write_products", "read_files", "write_files")
"""Finding products, attaching media to them, finding files, making files."""


class _Scope(Model):
    handle: str


class _Installation(Model):
    access_scopes: tuple[_Scope, ...]


async def missing_scopes(client: ShopifyClient) -> tuple[str, ...]:
    """Those access scopes that publishing needs and the store has not granted.

    Raises:
        TargetError: The token is wrong or the store cannot be used.
        NetworkError, RateLimitError: The store did not answer now.
    """
    data = await client.execute("access_scopes", {}, safe=True)
    installation = read(_Installation, data.get("currentAppInstallation"), "the app's scopes")
    granted = frozenset(scope.handle for scope in installation.access_scopes)
    # Who may write a thing may read it; Shopify does not always list both.
    implied = {f"read_{scope.removeprefix('write_')}" for scope in granted if "write_" in scope}
    return tuple(scope for scope in NEEDED_SCOPES if scope not in granted | implied)
