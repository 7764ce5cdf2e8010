"""Many photos at once, from folders and lists, by the command."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from photopipe_dagster.cli import app
from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.operations.imports import Row, read_rows, write_failed
from photopipe_dagster_tests.support.ledgers import new_ledger
from photopipe_dagster_tests.support.world import photo_of_a_mug

LIST = 'SKU;Image_URL;Theme;Note\n"MÜG ""1""";a.jpg;;"two\nlines"\nCUP;none.jpg;luxury;\n;;;\n'


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    new_ledger(tmp_path)
    ledger = Ledger(Settings(_env_file=None).ledger_url)
    ledger.catalogue.replace_skus(
        {"sku": sku, "barcode": None, "title": None} for sku in ("MUG-1", "CUP")
    )
    yield ledger
    ledger.close()


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["import", *map(str, arguments), "--json"])
    assert result.exit_code == code, (result.output, result.exception)
    return json.loads(result.stdout)


def jobs(ledger):
    return sorted((job.key.sku, job.key.theme) for job in ledger.jobs.find(JobQuery(), limit=9))


def put(folder, *names):
    for place, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo_of_a_mug(place, size=96))


def test_a_folder_is_previewed_imported_and_imported_again(tmp_path, ledger):
    photos = tmp_path / "photos"
    put(photos, "MUG-1_front.jpg", "sub/CUP-2.png", "IMG_1.jpg")
    (photos / "CUP.jpg").write_bytes(b"PK no photo")
    (photos / "notes.txt").write_text("")
    shown = run(photos, "--dry-run", code=1)
    assert {each["name"]: each["sku"] for each in shown["photos"]} == {
        "MUG-1_front.jpg": "MUG-1",
        "sub/CUP-2.png": "CUP",
        "IMG_1.jpg": None,
        "CUP.jpg": None,
    }
    assert (shown["totalUsd"], jobs(ledger)) == ("0", [])
    for created in (2, 0):
        failed = tmp_path / "failed.csv"
        done = run(photos, "--yes", "--failed", failed, code=1)
        assert (done["created"], done["known"], done["failed"]) == (created, 2 - created, 2)
    assert jobs(ledger) == [("CUP", "default"), ("MUG-1", "default")]
    with failed.open(encoding="utf-8-sig") as file:
        assert [row["address"] for row in csv.DictReader(file)] == [
            str(photos / "CUP.jpg"),
            str(photos / "IMG_1.jpg"),
        ]
    people = CliRunner().invoke(app, ["import", str(photos)], input="n\n")
    assert "4 photos: 2 of 2 products, 2 not matched" in people.stdout
    assert "Aborted" in str(people.exception)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_list_is_imported_and_its_failed_rows_can_be_imported_again(tmp_path, ledger, encoding):
    put(tmp_path, "a.jpg")
    (tmp_path / "list.csv").write_bytes(LIST.encode(encoding))
    done = run(tmp_path / "list.csv", "--yes", code=1)
    assert (done["created"], done["failed"]) == (1, 1)
    assert jobs(ledger) == [('MÜG "1"', "default")]
    again = tmp_path / "list.failed.csv"
    [failed] = read_rows(again)
    assert (failed.sku, failed.theme, failed.address) == ("CUP", "luxury", tmp_path / "none.jpg")
    assert "cannot be read: No such file" in failed.cells["problem"]
    put(tmp_path, "none.jpg")
    assert run(again, "--yes")["created"] == 1
    assert jobs(ledger) == [("CUP", "luxury"), ('MÜG "1"', "default")]


def test_a_parquet_file_and_names_in_place_of_skus(tmp_path, ledger):
    put(tmp_path, "MUG-1_2.jpg", "b.jpg")
    rows = {"url": ["MUG-1_2.jpg", "b.jpg", "c" * 300 + ".jpg"], "sku": [None, "CUP", "CUP"]}
    pd.DataFrame(rows).to_parquet(tmp_path / "list.parquet")
    done = run(tmp_path / "list.parquet", "--yes", code=1)
    assert [each["sku"] for each in done["photos"]] == ["MUG-1", "CUP", "CUP"]
    assert "too long" in done["photos"][2]["problem"]
    assert jobs(ledger) == [("CUP", "default"), ("MUG-1", "default")]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.csv", b"sku,price\nA,1\n", "no column with addresses, but sku, price"),
        ("a.csv", b'sku,url\nA,"b\n', "no CSV from line"),
        ("a.csv", "sku,url\nMÜG,b.jpg\n".encode("latin-1"), "UTF-8 or UTF-16"),
        ("a.parquet", b"PAR", "no Parquet file"),
    ],
)
def test_a_list_that_cannot_be_read_is_told(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(PhotopipeError, match=said):
        read_rows(tmp_path / name)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("CUP,,", "no address"),
        ("CUP,pipe.jpg,", "no file"),
        ("CUP,.,", "no file"),
        ("CUP,a.jpg,none", "theme"),
        (f"{'A' * 300},a.jpg,", "255"),
        ("CUP,http://127.0.0.1/a.jpg,", "IMAGE_URL_ALLOWED_HOSTS"),
    ],
)
def test_a_row_that_cannot_be_imported_says_why_and_stops_nobody(tmp_path, ledger, row, said):
    put(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "list.csv").write_text(f"sku,url,theme\n{row}\nMUG-1,a.jpg,\n")
    done = run(tmp_path / "list.csv", "--yes", code=1)
    assert (done["created"], done["failed"], jobs(ledger)) == (1, 1, [("MUG-1", "default")])
    [failed] = read_rows(tmp_path / "list.failed.csv")
    assert said in failed.cells["problem"]


def test_no_spreadsheet_calculates_a_failed_row_and_it_is_read_as_it_was(tmp_path):
    cells = {"sku": '=HYPERLINK("https://evil.example")', "address": "-1.jpg", "@note": "'plain"}
    write_failed(tmp_path / "failed.csv", [Row(Path("x"), "x", problem="=1", cells=cells)])
    with (tmp_path / "failed.csv").open(encoding="utf-8-sig", newline="") as file:
        written = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in written if cell.startswith(("=", "-", "@"))]
    [row] = read_rows(tmp_path / "failed.csv")
    assert row.cells == cells | {"problem": "=1"}
    assert (row.sku, row.address) == (cells["sku"], tmp_path / "-1.jpg")
