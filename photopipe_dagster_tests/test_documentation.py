"""What is written for people is as complete as the code."""

import re
import runpy
from pathlib import Path

from photopipe_dagster.settings import Settings

ROOT = Path(__file__).resolve().parents[1]


def test_the_page_of_variables_has_all_of_them():
    made = runpy.run_path(str(ROOT / "docs" / "make_configuration.py"))
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert page == made["document"]((ROOT / ".env.example").read_text()), (
        "run: python docs/make_configuration.py"
    )
    named = set(re.findall(r"^\| `([A-Z0-9_]+)` \|", page, re.MULTILINE))
    assert named == {name.upper() for name in Settings.model_fields}


def test_links_between_pages_lead_somewhere():
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md")):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not re.match(r"[a-z]+:", target):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
