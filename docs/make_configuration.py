"""Writes `docs/configuration.md`: every variable, its default and what it does.

    python docs/make_configuration.py

The names and defaults are those of `Settings`; the words are those of `.env.example`.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "configuration.md"

_HEADING = re.compile(r"# --- (.+?) -+$")
_VARIABLE = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)")

_TABLE = ("| Variable | Default | What it does |", "|---|---|---|")

_INTRODUCTION = """# Configuration

Every variable that Photopipe reads, from the environment or from `.env`. All have defaults that
work on one machine; an empty value means the default. Written by `docs/make_configuration.py` from
[`.env.example`](../.env.example).
"""


def document(example: str) -> str:
    """The page as Markdown.

    A variable without a comment of its own shares the one above it in its unbroken block.

    Args:
        example: The text of `.env.example`.

    Raises:
        ValueError: A variable has no comment and none to share.
    """
    lines = [_INTRODUCTION]
    comment: list[str] = []
    explained = ""  # the variable of this block that was commented last
    for line in example.splitlines():
        heading, variable = _HEADING.match(line), _VARIABLE.match(line)
        if heading is not None:
            lines += ["", f"## {heading[1]}", "", *_TABLE]
            comment, explained = [], ""
        elif variable is not None:
            name, default = variable.groups()
            shown = f"`{default}`" if default else ""
            if comment:
                explained = name
            elif not explained:
                raise ValueError(f"{name} begins a block of .env.example without a comment.")
            words = " ".join(comment).replace("|", "\\|") or f"See `{explained}`."
            lines.append(f"| `{name}` | {shown} | {words} |")
            comment = []
        elif line.startswith("#"):
            comment.append(line.removeprefix("#").strip())
        else:
            comment, explained = [], ""
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


if __name__ == "__main__":
    TARGET.write_text(document((ROOT / ".env.example").read_text()))
