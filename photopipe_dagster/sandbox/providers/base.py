"""What the simulators of providers have in common."""

from __future__ import annotations

import asyncio
import hmac
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, ClassVar

from fastapi import APIRouter, Request, Response
from starlette.datastructures import UploadFile

from photopipe_dagster.sandbox import providers
from photopipe_dagster.sandbox.charges import Charge, Job
from photopipe_dagster.sandbox.clock import Clock
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.pictures import Facts, NotAPictureError, encode, look
from photopipe_dagster.sandbox.traffic import Traffic


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart form, as far as it is well formed.

    Args:
        fields: Texts by name.
        files: Bytes by name.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """The names of all parts."""
        return frozenset((*self.fields, *self.files))


async def multipart(request: Request) -> Form | None:
    """The form of a request; ``None`` where it is none, or has a part twice."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return None
    parts = (await request.form()).multi_items()
    if len({name for name, _ in parts}) < len(parts):
        return None
    return Form(
        {name: value for name, value in parts if isinstance(value, str)},
        {name: await value.read() for name, value in parts if isinstance(value, UploadFile)},
    )


async def look_whole(data: bytes) -> Facts | None:
    """Type and size of a whole picture; ``None`` where it is none."""
    try:
        return await asyncio.to_thread(look, data, whole=True)
    except NotAPictureError:
        return None


def keyed(
    header: str, wanted: str, refusal: Callable[[bool], Response]
) -> Callable[[Request], Response | None]:
    """Refuses requests without a key.

    Args:
        header: Where the key is.
        refusal: The service's words; is told whether any key was given.
    """

    def refuse(request: Request) -> Response | None:
        given = request.headers.get(header, "")
        right = hmac.compare_digest(given.encode(), wanted.encode())
        return None if right else refusal(bool(given))

    return refuse


def wrong_fields(given: Mapping[str, Any], known: Mapping[str, object]) -> list[str]:
    """What is wrong with texts or JSON values that a service is given.

    Args:
        known: By name: the type or types of a value, the values that there are, or whether one
            will do.
    """
    wrong = [f"{name}: unknown field" for name in sorted(set(given) - set(known))]
    for name, value in given.items():
        rule = known.get(name)
        match rule:
            case type():
                # A bool is an int to Python, and to nobody else.
                fits = isinstance(value, rule) and (rule is bool or not isinstance(value, bool))
            case tuple() | range():
                fits = value in rule
            case None:
                continue
            case _:
                fits = bool(rule(value))  # type: ignore[operator]
        if not fits:
            wrong.append(f"{name}: is not allowed")
    return wrong


class ProviderStandIn(ABC):
    """The simulator of one provider's service, with its books.

    Attributes:
        provider: Name of the provider's plug-in.
        path: What its addresses begin with, without slashes.
        charges: Everything that was charged, oldest first.
        next_answer: What the next paid request ends as, in the service's own word; ``None``: a
            picture.
        out_of_money: Whether the account has no credit.
    """

    provider: ClassVar[str]
    path: ClassVar[str]

    def __init__(self, config: SandboxConfig, clock: Clock, traffic: Traffic) -> None:
        self.config = config
        self.clock = clock
        self.traffic = traffic
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.charges: list[Charge] = []
        self.next_answer: str | None = None
        self.out_of_money = False
        self._asked: list[float] = []

    def ending(self) -> str | None:
        """What this paid request ends as; the next one ends well."""
        ending, self.next_answer = self.next_answer, None
        return ending

    def too_many(self, requests: int, seconds: float) -> bool:
        """Whether this is one request more than so many in so many seconds."""
        now = self.clock.timestamp()
        with self._lock:
            self._asked = [at for at in self._asked if now - at < seconds]
            self._asked.append(now)
            return len(self._asked) > requests

    async def cut(self, photo: bytes) -> bytes:
        """A cut-out, as PNG."""
        return await asyncio.to_thread(self.config.cut_out, photo)

    async def painted(self, prompt: str, width: int, height: int, kind: str = "PNG") -> bytes:
        """A background of half that width and height, which keeps tests quick."""

        def paint() -> bytes:
            return encode(self.config.paint(prompt, width // 2, height // 2), kind)

        return await asyncio.to_thread(paint)

    @abstractmethod
    def router(self) -> APIRouter:
        """The routes; each goes by its name in the table of operations."""

    @property
    def spent_usd(self) -> Decimal:
        """Sum of the charges."""
        with self._lock:
            return sum((charge.usd for charge in self.charges), Decimal(0))

    def charge(
        self,
        operation: str,
        job: Job,
        usd: Decimal,
        id_: str | None = None,
    ) -> None:
        """Take money."""
        made = Charge(id_ or uuid.uuid4().hex, operation, job, usd, self.clock.now())
        with self._lock:
            self.charges.append(made)


def stand_ins() -> Iterator[type[ProviderStandIn]]:
    """The simulators that there are."""
    for module in iter_modules(providers.__path__):
        if module.name != "base":
            yield import_module(f"{providers.__name__}.{module.name}").StandIn
