"""`photopipe theme …`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from photopipe_dagster.cli import app
from photopipe_dagster.core.errors import ConflictError, InvalidRecordError
from photopipe_dagster.ledger import Ledger
from photopipe_dagster_tests.support.ledgers import new_ledger


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    ledger = Ledger(f"sqlite:///{new_ledger(tmp_path)}")
    yield ledger
    ledger.close()


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["theme", *arguments])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_a_theme_goes_out_of_one_shop_as_a_file_and_comes_back_changed(ledger: Ledger) -> None:
    assert "revision 1" in said("copy", "kitchen", "ours")
    said("export", "ours", "-o", "ours.json")
    file = Path("ours.json")
    assert said("export", "ours") == file.read_text()
    file.write_text(file.read_text().replace('"softness": 0.55', '"softness": 0.2'))
    assert "revision 2" in said("edit", "ours.json", "--revision", "1")
    with pytest.raises(ConflictError, match=r"light\.softness"):
        said("edit", "ours.json", "--revision", "1")
    assert "theirs is saved as revision 1" in said("import", "ours.json", "--as", "theirs")
    for part in ("light.softness", "0.2", "Revision 2"):
        assert part in said("show", "ours")
    shown = json.loads(said("show", "ours", "--json"))
    assert shown["theme"]["light"]["softness"] == 0.2
    assert [each["revision"] for each in shown["revisions"]] == [1, 2]
    assert "archived" in said("archive", "ours")
    listed = {each["name"]: each for each in json.loads(said("list", "--json"))}
    assert (listed["ours"]["archived"], listed["theirs"]["archived"]) == (True, False)
    assert listed["kitchen"]["builtIn"]
    for part in ("built in", "archived", "by default"):
        assert part in said("list")


def test_a_theme_is_made_from_a_prompt_and_what_will_go_wrong_is_said(ledger: Ledger) -> None:
    told = said("create", "beach", "--prompt", "A bottle on a beach", "--alt", "on sand")
    assert "'bottle'" in told
    assert ledger.themes.all()[0].theme.prompt == "A bottle on a beach"


def test_a_file_that_is_none_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    large.write_bytes(b"a: 1\n" * 2_000_000)
    with pytest.raises(InvalidRecordError, match="theme export"):
        said("import", str(large))
    with pytest.raises(InvalidRecordError, match="theme copy kitchen"):
        said("archive", "kitchen")
