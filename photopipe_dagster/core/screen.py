"""Where programs print for people. Names of files and products are never taken for markup."""

from __future__ import annotations

from rich.console import Console


def screen(*, stderr: bool = False) -> Console:
    """A console that shows texts as they are: brackets, colons and all; styles are arguments."""
    return Console(stderr=stderr, markup=False, emoji=False)


def one_line(text: str) -> str:
    """A text on one line, with what cannot be printed escaped."""
    flat = " ".join(text.split())
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in flat)
