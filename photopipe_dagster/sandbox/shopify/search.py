"""Shopify's search syntax, and a search that is as inexact as an index is.

Terms are joined by AND where nothing else is said; ``OR``, ``NOT``, ``-`` and parentheses work. A
term is ``field:value`` or a bare value, in single or double quotes or with backslash escapes; a
``*`` at its end asks for a prefix. Values are compared without regard to case and by their words:
a value matches every text that *begins* with the same words, the last of them unfinished perhaps.
So ``sku:"AB-1"`` finds ``AB-1``, but also ``ab_1``, ``AB-10`` and ``AB-1-XL``.
"""

from __future__ import annotations

import re
from collections import deque
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


_TOKEN = re.compile(
    r"""\s*(?:
    (?P<sign>(?:OR|AND|NOT)(?=[\s(]|$)|[()]|-)
    |(?:(?P<field>[A-Za-z_][\w.]*)\s*:\s*)?
     (?:"(?P<double>(?:\\.|[^"])*)"?|'(?P<single>(?:\\.|[^'])*)'?|(?P<bare>(?:\\.|[^\s()])*))
    )""",
    re.VERBOSE | re.DOTALL,
)


class _Parser:
    def __init__(self, text: str, fields: frozenset[str]) -> None:
        self._tokens = deque(each for each in _TOKEN.finditer(text) if each.group().strip())
        self._fields = fields
        self.unknown: list[str] = []

    def expression(self) -> Condition:
        alternatives = [self._conjunction()]
        while self._take("OR"):
            alternatives.append(self._conjunction())
        return lambda texts: any(condition(texts) for condition in alternatives)

    def _conjunction(self) -> Condition:
        conditions: list[Condition] = []
        while self._tokens and self._tokens[0]["sign"] not in ("OR", ")"):
            if not self._take("AND"):
                conditions.append(self._negatable())
        return lambda texts: all(condition(texts) for condition in conditions)

    def _negatable(self) -> Condition:
        if self._take("NOT", "-"):
            inner = self._negatable()
            return lambda texts: not inner(texts)
        if self._take("("):
            inner = self.expression()
            self._take(")")
            return inner
        return self._term()

    def _term(self) -> Condition:
        if not self._tokens:
            return lambda _: False
        token = self._tokens.popleft()
        field = (token["field"] or "default").lower()
        if field != "default" and field not in self._fields:
            self.unknown.append(field)
            return lambda _: True
        value = next(filter(None, token.group("sign", "double", "single", "bare")), "")
        return Term(field, re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)).matches

    def _take(self, *signs: str) -> bool:
        """Take the next token if it is one of these signs."""
        if not self._tokens or self._tokens[0]["sign"] not in signs:
            return False
        self._tokens.popleft()
        return True
