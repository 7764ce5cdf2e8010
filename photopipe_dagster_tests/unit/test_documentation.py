"""What is written for people is as complete as the code."""

import re
import runpy
from pathlib import Path

import pytest

from photopipe_dagster.runtime.configuration import variables

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_variables_has_all_of_them():
    made = runpy.run_path(str(ROOT / "docs" / "make_configuration.py"))
    page = (ROOT / "docs" / "configuration.md").read_text()
    example = (ROOT / ".env.example").read_text()
    assert (example, page) == (made["with_plugins"](example), made["document"](example)), (
        "run: python docs/make_configuration.py"
    )
    named = set(re.findall(r"^\| `([A-Z0-9_]+)` \|", page, re.MULTILINE))
    assert named == {variable.name for variable in variables()}


def test_each_variable_is_explained_or_says_where_it_is():
    page = (ROOT / "docs" / "configuration.md").read_text()
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| [^|]*\| (.*) \|$", page, re.MULTILINE)
    words = dict(rows)
    assert len(rows) == len(words) == len(list(variables()))
    for name, said in rows:
        assert said.strip(), name
        shared = re.fullmatch(r"See `([A-Z0-9_]+)`\.", said)
        if shared:
            assert not words[shared[1]].startswith("See "), f"{name} leads to {shared[1]}"
    assert "line above" not in page


def test_a_comment_is_shared_within_an_unbroken_block_only():
    document = runpy.run_path(str(ROOT / "docs" / "make_configuration.py"))["document"]
    page = document("# --- One ---\n# Both.\nA=1\nB=\n")
    assert "| `B` |  | See `A`. |" in page
    for apart in ("", "# --- Two ---"):
        with pytest.raises(ValueError, match="B begins a block"):
            document(f"# --- One ---\n# Alone.\nA=1\n{apart}\nB=\n")


def test_links_between_pages_lead_somewhere():
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md")):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not re.match(r"[a-z]+:", target):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
