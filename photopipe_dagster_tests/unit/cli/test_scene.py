"""`photopipe scene …` and `photopipe collection …`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from photopipe_dagster.cli import app
from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.composite import encode_jpeg
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.product_sizes import ProductSize
from photopipe_dagster_tests.support.ledgers import new_ledger


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    new_ledger(tmp_path)
    ledger = Ledger.open(Settings(_env_file=None))
    yield ledger
    ledger.close()


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_scene_is_added_set_approved_and_archived(ledger: Ledger):
    noise = np.random.default_rng(1).integers(90, 200, (640, 800, 3), np.uint8)
    Path("table.jpg").write_bytes(encode_jpeg(noise))
    said = run("scene", "add", "table.jpg", "--name", "table", "--set", "azimuth=60").stdout
    assert "light from: 60°\n" in said
    assert "the usual value" in said
    changed = json.loads(run("scene", "set", "table", "--set", "ground=0.8", "--json").stdout)
    assert (changed["revision"], changed["ground"], changed["state"]) == (2, 0.8, "draft")
    run("scene", "approve", "table")
    found = ledger.scenes.approved("table")
    assert found is not None
    assert found.revision == 2
    assert "table@2" in run("scene", "list").stdout
    run("scene", "archive", "table")
    assert ledger.scenes.approved("table") is None


@pytest.mark.parametrize(("mark", "encoding"), [(",", "utf-8"), (";", "utf-16")])
def test_sizes_are_read_from_a_table(ledger: Ledger, mark: str, encoding: str):
    table = "sku,height_cm,size_class\nA,12.5,\nB,,xl\n".replace(",", mark)
    Path("sizes.csv").write_text(table, encoding)
    assert "2 products" in run("scene", "sizes", "sizes.csv").stdout
    assert ledger.product_sizes.get("A") == ProductSize("A", 12.5)
    assert ledger.product_sizes.get("B") == ProductSize("B", None, "XL")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("name,height_cm\nA,3\n", "first line"),
        ("sku\nA\n", "first line"),
        ("sku,height_cm\nA,3\nB,high\n", "Line 3"),
        ("sku,height_cm\nA,-3\n", "Line 2"),
        ("sku,size_class\nA,XXL\n", "XS, S, M, L, XL"),
        ("sku,height_cm\nÄ,3\n", "UTF-8"),
    ],
)
def test_a_table_that_cannot_be_is_told_by_its_line(ledger: Ledger, table: str, says: str):
    Path("sizes.csv").write_text(table, "latin-1")
    with pytest.raises(PhotopipeError, match=says):
        run("scene", "sizes", "sizes.csv")
    assert ledger.product_sizes.get("A") is None


def test_a_collection_is_reported_of_a_theme_that_there_is(ledger: Ledger):
    run("collection", "report", "--theme", "kitchen", "--sheet", "sheet.png")
    assert Path("sheet.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(PhotopipeError, match="nonsense"):
        run("collection", "report", "--theme", "nonsense")
