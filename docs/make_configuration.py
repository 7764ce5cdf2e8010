"""Writes what the documentation says of plug-ins, from the plug-ins of this project.

    python docs/make_configuration.py

The last part of `.env.example`: the variables of plug-ins, by their descriptions. Then
`docs/configuration.md`: every variable, its default and what it does, in the words of
`.env.example`. And the table of error codes in `docs/operator.md`, with the advice of plug-ins.
"""

from __future__ import annotations

import re
import textwrap
from itertools import groupby
from pathlib import Path

from photopipe_dagster.core.error_guide import GUIDE, Guidance
from photopipe_dagster.core.plugins import PluginSettings
from photopipe_dagster.runtime.configuration import REGISTRIES, variables

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "configuration.md"
EXAMPLE = ROOT / ".env.example"
GUIDE_PAGE = ROOT / "docs" / "operator.md"

_PLUGINS = (
    "# What follows is written by docs/make_configuration.py, from the settings of each plug-in.\n"
)

_HEADING = re.compile(r"# --- (.+?) -+$")
_VARIABLE = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)")

_TABLE = ("| Variable | Default | What it does |", "|---|---|---|")

_INTRODUCTION = """# Configuration

Every variable that Photopipe reads, from the environment or from `.env`. All have defaults that
work on one machine; an empty value means the default. Written by `docs/make_configuration.py` from
[`.env.example`](../.env.example).
"""


def with_plugins(example: str) -> str:
    """`.env.example` with the variables of this project's plug-ins as they are now."""
    own = [
        each
        for each in variables()
        if issubclass(each.settings, PluginSettings) and _is_ours(each.settings)
    ]
    parts = [example.partition(_PLUGINS)[0] + _PLUGINS]
    for section, members in groupby(own, lambda each: each.section):
        lines = [f"# --- {section} ".ljust(100, "-")]
        for each in members:
            earlier = [f"({name} is read too.)" for name in each.names[1:]]
            words = " ".join([each.info.description or "", *earlier])
            wrapped = textwrap.wrap(words, 98, break_on_hyphens=False, break_long_words=False)
            lines += [*(f"# {line}" for line in wrapped), f"{each.name}={each.default}"]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


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


def with_guide(page: str) -> str:
    """The operator's page with the table of error codes as it is now."""
    lines = [
        "| code | what happened | retried automatically? | what to do |",
        "|---|---|---|---|",
        *(
            f"| `{entry.code}` | {entry.means} | {entry.again} | {_advice(entry)} |"
            for entry in GUIDE.values()
        ),
    ]
    before, begin, rest = page.partition("<!-- failure-codes -->\n")
    _, end, after = rest.partition("<!-- /failure-codes -->")
    return "".join([before, begin, *(f"{line}\n" for line in lines), end, after])


def _advice(entry: Guidance) -> str:
    plugins = (plugin for registry in REGISTRIES for plugin in registry if _is_ours(type(plugin)))
    theirs = (plugin.advice.get(entry.code, "") for plugin in plugins)
    return " ".join(filter(None, [entry.do, *theirs]))


def _is_ours(cls: type) -> bool:
    """Whether it belongs to this project, and to no other package that happens to be installed."""
    return cls.__module__.startswith("photopipe_dagster.")


if __name__ == "__main__":
    EXAMPLE.write_text(with_plugins(EXAMPLE.read_text()))
    TARGET.write_text(document(EXAMPLE.read_text()))
    GUIDE_PAGE.write_text(with_guide(GUIDE_PAGE.read_text()))
