"""What people are told of each error code, and where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from photopipe_dagster.core.error_guide import GUIDE, Guidance, as_markdown
from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.runtime.configuration import variables

README = Path(__file__).parents[1] / "README.md"


def test_every_code_is_explained_once() -> None:
    assert set(GUIDE) == set(ErrorCode)
    assert len({entry.means for entry in GUIDE.values()}) == len(ErrorCode)


@pytest.mark.parametrize("entry", GUIDE.values(), ids=lambda entry: entry.code)
def test_an_explanation_says_whether_it_is_tried_again_and_what_to_do(entry: Guidance) -> None:
    assert entry.again.startswith(("Yes", "No", "Only"))
    for text in (entry.means, entry.again, entry.do):
        assert text.endswith(".")
        assert "|" not in text
        assert "\n" not in text


def test_settings_that_are_named_exist() -> None:
    named = set(re.findall(r"\b[A-Z]+(?:_[A-Z0-9]+)+\b", as_markdown())) - set(ErrorCode)
    assert named <= {variable.name for variable in variables()}


def test_the_readme_has_the_guide() -> None:
    text = README.read_text("utf-8")
    between = re.search(r"<!-- failure-codes -->\n(.*?)<!-- /failure-codes -->", text, re.DOTALL)
    assert between is not None
    assert between[1].strip() == as_markdown().strip()
