"""Finds phrases that docs/words.toml refuses, in all files of the repository.

    python docs/check_words.py

Ends with status 1 where there are any. The changelog and the data of earlier versions may name what
things were called; so may what a vendor wrote.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]

_LIST: Final = "docs/words.toml"
_EXCEPT: Final = (
    _LIST,
    "CHANGELOG.md",
    "photopipe_dagster_tests/old_version/",
    "photopipe_dagster_tests/integration/test_old_version.py",
    "photopipe_dagster_tests/unit/test_words.py",
    "photopipe_dagster/sandbox/shopify/admin.graphqls",
    "photopipe_dagster/sandbox/shopify/refusals.toml",
)


def phrases() -> dict[str, str]:
    """What is refused, and what to write instead."""
    found: dict[str, str] = tomllib.loads((ROOT / _LIST).read_text("utf-8"))["phrases"]
    return found


def refused(text: str, listed: Mapping[str, str]) -> Iterator[tuple[int, str, str]]:
    """Each refused phrase of a text: its line, the phrase, and what to write instead."""
    one = re.compile("|".join(rf"\b(?:{each})\b" for each in listed), re.IGNORECASE)
    for number, line in enumerate(text.splitlines(), 1):
        for match in one.finditer(line):
            instead = next(
                word for each, word in listed.items() if re.fullmatch(each, match[0], re.IGNORECASE)
            )
            yield number, match[0], instead


def main() -> int:
    """Print what is refused; the number of such places, at most 1."""
    listed, found = phrases(), False
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in filter(None, names):
        path = ROOT / name
        if name.startswith(_EXCEPT) or not path.is_file():
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        for number, phrase, instead in refused(text, listed):
            found = True
            sys.stdout.write(f"{name}:{number}: {phrase!r}: write {instead!r}\n")
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
