"""All that people read stands in one list, so that a change of wording is seen in review.

Messages of errors, labels of pages, notices, advice and the help of commands, each with its file;
``{}`` is what is filled in. ``python -m photopipe_dagster_tests.unit.test_texts`` writes it.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import photopipe_dagster

PACKAGE = Path(photopipe_dagster.__file__).parent
LIST = Path(__file__).with_name("texts.txt")

_LABELS = re.compile(r"""\b(?:aria-label|alt|placeholder|data-confirm|data-busy)="([^"]*)\"""")
_HIDDEN = re.compile(r"\{%.*?%\}|\{#.*?#\}|<script.*?</script>|<svg.*?</svg>", re.DOTALL)


def texts() -> str:
    """The list as it is now."""
    lines: list[str] = []
    for path in sorted(PACKAGE.rglob("*")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith("sandbox/") or path.suffix not in (".py", ".html", ".toml"):
            continue
        lines += [f"{name}: {text}" for text in dict.fromkeys(_texts_of(path)) if text]
    return "".join(f"{line}\n" for line in lines)


def _texts_of(path: Path) -> Iterator[str]:
    if path.suffix == ".html":
        yield from _of_template(path.read_text())
    elif path.suffix == ".py":
        yield from _of_module(ast.parse(path.read_text()))
    elif path.name in ("notices.toml", "error_guide.toml"):
        yield from _strings(tomllib.loads(path.read_text()))


def _of_module(tree: ast.Module) -> Iterator[str]:
    """What errors say, and the help of options."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        called = node.func.id if isinstance(node.func, ast.Name) else called
        if called.endswith("Error"):
            yield from (_said(each) for each in node.args)
        yield from (_said(each.value) for each in node.keywords if each.arg == "help")


def _said(node: ast.expr) -> str:
    """A string with what is filled in left out; empty for what is none, or is one word."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return " ".join(node.value.split()) if " " in node.value else ""
    if isinstance(node, ast.JoinedStr):
        parts = [each.value if isinstance(each, ast.Constant) else "{}" for each in node.values]
        return " ".join("".join(map(str, parts)).split())
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return f"{_said(node.left)} {_said(node.right)}".strip()
    return ""


def _of_template(html: str) -> Iterator[str]:
    """Visible text, and what attributes say."""
    shown = re.sub(r"\{\{.*?\}\}", "{}", _HIDDEN.sub("\n", html), flags=re.DOTALL)
    for label in _LABELS.findall(shown):
        yield " ".join(label.split())
    for piece in re.split(r"<[^>]*>|\n", shown):
        text = " ".join(piece.split())
        if re.search(r"[A-Za-z]{2}", text):
            yield text


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield " ".join(value.split())
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)


def test_the_list_of_texts_is_up_to_date() -> None:
    assert LIST.read_text() == texts(), f"run: python -m {__name__}, and read what changes"


def test_labels_messages_notices_and_advice_are_listed() -> None:
    found = texts()
    for each in (
        "api/templates/batch_new.html: Estimate cost",
        "api/templates/notices.toml: This photo isn't published.",
        "core/error_guide.toml: The photo, its address or its hash is wrong",
        "cli/status.py: Job ID (default: list all).",
    ):
        assert each in found, each


if __name__ == "__main__":
    LIST.write_text(texts())
