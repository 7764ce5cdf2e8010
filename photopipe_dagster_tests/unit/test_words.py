"""The check of wording finds what it should."""

from __future__ import annotations

import runpy
from pathlib import Path

CHECK = runpy.run_path(str(Path(__file__).resolve().parents[2] / "docs" / "check_words.py"))


def test_a_refused_phrase_is_named_with_its_line_and_a_better_one() -> None:
    text = "Fine.\nWhoever mends it starts anew.\n"
    found = list(CHECK["refused"](text, CHECK["phrases"]()))
    assert found == [
        (2, "Whoever", "anyone who"),
        (2, "mends", "fix, repair"),
        (2, "anew", "again"),
    ]


def test_parts_of_words_are_no_phrases() -> None:
    assert not list(CHECK["refused"]("commended, understand-in, renewal", CHECK["phrases"]()))
