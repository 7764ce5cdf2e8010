"""What can be made to go wrong, and where: the tables are in ``faults.toml``."""

from __future__ import annotations

import random
import threading
import tomllib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from importlib.resources import files
from itertools import count
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_TABLES: Final[dict[str, Any]] = tomllib.loads(
    files(__package__).joinpath("faults.toml").read_text("utf-8")
)
_QUERIES, _MUTATIONS = _TABLES["root_fields"]["queries"], _TABLES["root_fields"]["mutations"]

SCOPES: Final[Mapping[str, Sequence[str]]] = {**_QUERIES, **_MUTATIONS}
"""The root fields of the Shopify schema that is served, and the scopes of which each needs one."""

_OF_PROVIDERS: Final = [
    name
    for table in sorted(
        each.read_text("utf-8")
        for each in files(__package__).joinpath("providers").iterdir()
        if each.name.endswith(".toml")
    )
    for name in tomllib.loads(table)["operations"]
]
"""Each simulator of a provider has a table of its own."""

OPERATIONS: Final = (
    *_TABLES["operations"],
    *_OF_PROVIDERS,
    *(f"shopify.{field}" for field in SCOPES),
)

BACKGROUND_WORK: Final = tuple(_TABLES["background"])
"""Names that latencies know beside the operations."""

_GROUPS: Final = {
    "documents": ["shopify.graphql", *(f"shopify.{field}" for field in SCOPES)],
    "mutations": [f"shopify.{field}" for field in _MUTATIONS],
}

INSIDE: Final[Mapping[str, frozenset[str]]] = {
    kind: frozenset(name for at in row["at"] for name in _GROUPS.get(at, [at]))
    for kind, row in _TABLES["inside"].items()
}
"""Kinds that a simulator acts out itself, and the operations that know them."""

_KINDS: Final = (*_TABLES["kinds"], *INSIDE)


class Fault(BaseModel):
    """One thing that goes wrong.

    Args:
        match: Name of an operation, or a pattern such as ``freepik.*``.
        kind: What happens; see ``faults.toml``.
        status: Of kind ``status``.
        headers: Of kind ``status``.
        body: Of kind ``status``; the service's own words where not given.
        times: How often it happens; ``None`` for ever.
        skip: How many matching requests pass before the first.
        probability: Chance that it happens to a matching request.
        seconds: How long a timeout holds the connection, at most.
        code: Error code of ``graphql_error``, ``user_error`` and ``media_failed``.
        message: Text beside the code.
        content_type: Of kind ``wrong_content_type``.
        location: Of kind ``redirect``.
        size_bytes: Of kind ``huge``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    match: str
    kind: str
    status: int = Field(503, ge=200, le=599)
    headers: dict[str, str] = {}
    body: str | None = None
    times: int | None = Field(1, ge=1)
    skip: int = Field(0, ge=0)
    probability: float = Field(1.0, gt=0, le=1)
    seconds: float = Field(300.0, ge=0)
    code: str | None = None
    message: str = "Made to fail."
    content_type: str = "text/plain"
    location: str = "http://169.254.169.254/latest/meta-data/"
    size_bytes: int = Field(64 * 1024 * 1024, ge=1)

    @field_validator("match")
    @classmethod
    def _known(cls, match: str) -> str:
        if not any(fnmatchcase(name, match) for name in OPERATIONS):
            raise ValueError(f"{match!r} matches no operation; known are {', '.join(OPERATIONS)}")
        return match

    @field_validator("kind")
    @classmethod
    def _possible_kind(cls, kind: str) -> str:
        if kind not in _KINDS:
            raise ValueError(f"there is no kind {kind!r}; known are {', '.join(_KINDS)}")
        return kind

    @model_validator(mode="after")
    def _possible(self) -> Fault:
        if not any(self.fits(name) for name in OPERATIONS):
            known = ", ".join(sorted(INSIDE[self.kind]))
            raise ValueError(f"{self.kind} is known to {known} only, not to {self.match}")
        return self

    def fits(self, operation: str) -> bool:
        """Whether this fault can happen to an operation."""
        inside = INSIDE.get(self.kind)
        return fnmatchcase(operation, self.match) and (inside is None or operation in inside)


class PlannedFault(BaseModel):
    """A fault as it stands: its number and how often it has happened."""

    id: int
    fault: Fault
    happened: int


class Faults:
    """The faults that are planned; each matching request takes the first that is due."""

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._seed = seed
        self._start()

    def _start(self) -> None:
        self._ids = count(1)
        self._dice = random.Random(self._seed)
        self._plan: dict[int, Fault] = {}
        self._seen: dict[int, int] = {}
        self._happened: dict[int, int] = {}

    def add(self, fault: Fault) -> int:
        """Plan a fault and return its number."""
        with self._lock:
            number = next(self._ids)
            self._plan[number] = fault
            self._seen[number] = self._happened[number] = 0
            return number

    def take(self, operations: Sequence[str]) -> Fault | None:
        """The fault that happens to a request, if any; counts it."""
        with self._lock:
            for number, fault in self._plan.items():
                if not any(fault.fits(operation) for operation in operations):
                    continue
                if fault.times is not None and self._happened[number] >= fault.times:
                    continue
                self._seen[number] += 1
                if self._seen[number] <= fault.skip or self._dice.random() >= fault.probability:
                    continue
                self._happened[number] += 1
                return fault
            return None

    def planned(self) -> list[PlannedFault]:
        """All faults, those that are used up too."""
        with self._lock:
            return [
                PlannedFault(id=number, fault=fault, happened=self._happened[number])
                for number, fault in self._plan.items()
            ]

    def remove(self, number: int) -> bool:
        """Forget one fault; ``False`` if there is none of that number."""
        with self._lock:
            return self._plan.pop(number, None) is not None

    def clear(self) -> None:
        """Forget all faults and throw the dice again."""
        with self._lock:
            self._start()
