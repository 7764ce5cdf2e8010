"""The GraphQL documents that are sent to Shopify: one operation a file.

Each is valid, without deprecated fields, against the Admin API 2026-01 and 2026-10. Its first line
names the access scope that it needs (``# scope: write_files``), for the message when Shopify says
no.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Document:
    """One operation.

    Args:
        name: The file's name without suffix, such as ``find_variants``.
        text: What is sent.
        scope: The access scope that it needs; empty if none.
    """

    name: str
    text: str
    scope: str

    @property
    def mutates(self) -> bool:
        """Whether it is a mutation."""
        return self.text.startswith("mutation ")


@cache
def load(name: str) -> Document:
    """The document of that name.

    Raises:
        FileNotFoundError: There is none.
    """
    source = (files(__name__) / f"{name}.graphql").read_text(encoding="utf-8")
    comment, _, text = source.partition("\n")
    scope = comment.removeprefix("# scope:").strip()
    return Document(name=name, text=text, scope="" if scope == "none" else scope)
