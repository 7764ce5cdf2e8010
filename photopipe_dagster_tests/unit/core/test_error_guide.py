"""What people are told of each error code, and where."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from photopipe_dagster.core.error_guide import GUIDE, Guidance
from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.runtime.advice import advice_on
from photopipe_dagster.runtime.configuration import variables

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "operator.md").read_text("utf-8")


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
    table = re.search(r"<!-- failure-codes -->(.*?)<!-- /failure-codes -->", PAGE, re.DOTALL)
    assert table is not None
    named = set(re.findall(r"\b[A-Z]+(?:_[A-Z0-9]+)+\b", table[1])) - set(ErrorCode)
    assert "FREEPIK_API_KEY" in named
    assert named <= {variable.name for variable in variables()}


def test_the_general_advice_names_no_provider() -> None:
    for entry in GUIDE.values():
        for plugin in PROVIDERS:
            assert plugin.title not in entry.do
            assert f"{plugin.name.upper()}_" not in entry.do


def test_the_operators_page_has_the_guide_with_the_advice_of_plug_ins() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "make_configuration.py"))
    assert made["with_guide"](PAGE) == PAGE, "run: python docs/make_configuration.py"


def test_the_provider_that_failed_adds_its_advice() -> None:
    general = GUIDE[ErrorCode.API_ERROR].do
    failed = advice_on(ErrorCode.API_ERROR, {"provider": "freepik", "status": 401})
    assert failed.startswith(general)
    assert "FREEPIK_API_KEY" in failed
    for details in (None, {}, {"provider": "gone"}, {"provider": "local"}, {"status": 401}):
        assert advice_on(ErrorCode.API_ERROR, details) == general
    assert advice_on(ErrorCode.S3_ERROR, {"provider": "freepik"}) == GUIDE[ErrorCode.S3_ERROR].do
