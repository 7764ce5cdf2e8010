"""Shopify's search syntax, and a search that is as inexact as an index is.

Terms are joined by AND where nothing else is said; ``OR``, ``NOT``, ``-`` and parentheses work. A
term is ``field:value`` or a bare value, in single or double quotes or with backslash escapes; a
``*`` at its end asks for a prefix. Values are compared without regard to case and by their words:
a value matches every text that *begins* with the same words, the last of them unfinished perhaps.
So ``sku:"AB-1"`` finds ``AB-1``, but also ``ab_1``, ``AB-10`` and ``AB-1-XL``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

Texts = Mapping[str, Iterable[str]]
"""A record's searchable texts by field; the bare search looks at the field ``default``."""

Condition = Callable[[Texts], bool]

_WORD = re.compile(r"[^\W_]+")
_EXACT = frozenset({"id", "ids", "status", "media_type", "product_id", "product_status"})
"""Fields that are compared as a whole."""


def words(text: str) -> list[str]:
    """The words of a text as the index has them."""
    return _WORD.findall(text.lower())


def resembles(wanted: str, text: str) -> bool:
    """Whether a text begins with the wanted words; the last may be unfinished."""
    asked, found = words(wanted), words(text)
    if not asked:
        return wanted.strip().lower() == text.strip().lower()
    whole, last = asked[:-1], asked[-1]
    return (
        len(found) >= len(asked)
        and found[: len(whole)] == whole
        and found[len(whole)].startswith(last)
    )


def _anywhere(wanted: str, text: str) -> bool:
    asked, found = words(wanted), words(text)
    return bool(asked) and all(any(word.startswith(one) for word in found) for one in asked)


@dataclass(frozen=True, slots=True)
class Term:
    """``field:value``, or a bare value with the field ``default``."""

    field: str
    value: str

    def matches(self, texts: Texts) -> bool:
        """Whether a record has it."""
        found = texts.get(self.field, ())
        if self.field == "default":
            return any(_anywhere(self.value, text) for text in found)
        if self.field in _EXACT:
            wanted = {part.strip().lower() for part in self.value.split(",")}
            return any(text.lower() in wanted for text in found)
        if self.value == "*":
            return any(text for text in found)
        return any(resembles(self.value.removesuffix("*"), text) for text in found)


@dataclass(frozen=True, slots=True)
class Search:
    """A parsed search.

    Args:
        matches: Whether a record fulfils it.
        unknown: Fields that it names and the index does not have; they were ignored.
    """

    matches: Condition
    unknown: tuple[str, ...]


def parse(query: str | None, fields: frozenset[str]) -> Search:
    """Parse a search; nobody is refused, as in the real one.

    Args:
        query: The text; empty finds everything.
        fields: Fields that the index has.
    """
    parser = _Parser(query or "", fields)
    return Search(parser.expression(), tuple(parser.unknown))


class _Parser:
    def __init__(self, text: str, fields: frozenset[str]) -> None:
        self._text = text
        self._at = 0
        self._fields = fields
        self.unknown: list[str] = []

    def expression(self) -> Condition:
        alternatives = [self._conjunction()]
        while self._word("OR"):
            alternatives.append(self._conjunction())
        return lambda texts: any(condition(texts) for condition in alternatives)

    def _conjunction(self) -> Condition:
        conditions: list[Condition] = []
        while not self._ended() and not self._ahead("OR"):
            if self._word("AND"):
                continue
            conditions.append(self._negatable())
        return lambda texts: all(condition(texts) for condition in conditions)

    def _negatable(self) -> Condition:
        if self._word("NOT") or self._char("-"):
            inner = self._negatable()
            return lambda texts: not inner(texts)
        if self._char("("):
            inner = self.expression()
            self._char(")")
            return inner
        return self._term()

    def _term(self) -> Condition:
        name = re.compile(r"([A-Za-z_][\w.]*)\s*:").match(self._text, self._at)
        field = "default"
        if name:
            field = name.group(1).lower()
            self._at = name.end()
        value = self._value()
        if field != "default" and field not in self._fields:
            self.unknown.append(field)
            return lambda _: True
        return Term(field, value).matches

    def _value(self) -> str:
        self._space()
        quote = self._text[self._at : self._at + 1]
        if quote in ("'", '"'):
            self._at += 1
            value = self._until(lambda character: character == quote)
            self._at += 1
            return value
        start = self._at
        value = self._until(lambda character: character.isspace() or character in "()")
        if self._at == start:
            self._at += 1  # a stray character: skip it, or the search never ends
        return value

    def _until(self, stop: Callable[[str], bool]) -> str:
        value = ""
        while self._at < len(self._text) and not stop(self._text[self._at]):
            if self._text[self._at] == "\\" and self._at + 1 < len(self._text):
                self._at += 1
            value += self._text[self._at]
            self._at += 1
        return value

    def _space(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _ended(self) -> bool:
        self._space()
        return self._at >= len(self._text) or self._text[self._at] == ")"

    def _char(self, character: str) -> bool:
        self._space()
        if self._text[self._at : self._at + 1] != character:
            return False
        self._at += 1
        return True

    def _ahead(self, word: str) -> bool:
        self._space()
        return re.compile(rf"{word}(?=[\s(]|$)").match(self._text, self._at) is not None

    def _word(self, word: str) -> bool:
        if not self._ahead(word):
            return False
        self._at += len(word)
        return True
