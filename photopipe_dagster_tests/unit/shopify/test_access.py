"""What is missing is known before anything is tried."""

import pytest

from photopipe_dagster.shopify.access import missing_scopes
from photopipe_dagster_tests.unit.shopify.scripted import Shopify, data


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        (["read_products", "write_products", "read_files", "write_files", "read_orders"], ()),
        (["write_products", "write_files"], ()),
        (["read_products", "read_files"], ("write_products", "write_files")),
        ([], ("read_products", "write_products", "read_files", "write_files")),
    ],
)
async def test_missing_scopes_are_named(granted: list[str], missing: tuple[str, ...]) -> None:
    scopes = {"accessScopes": [{"handle": handle} for handle in granted]}
    found = await missing_scopes(Shopify(AccessScopes=data(currentAppInstallation=scopes)).client())
    assert found == missing
