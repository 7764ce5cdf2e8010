"""What the simulators of providers have in common."""

from __future__ import annotations

import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from decimal import Decimal
from importlib import import_module
from pkgutil import iter_modules
from typing import ClassVar

from fastapi import APIRouter

from photopipe_dagster.sandbox import providers
from photopipe_dagster.sandbox.charges import Charge, Job
from photopipe_dagster.sandbox.clock import Clock
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.traffic import Traffic


class ProviderStandIn(ABC):
    """The simulator of one provider's service, with its books.

    Attributes:
        provider: Name of the provider's plug-in.
        path: What its addresses begin with, without slashes.
        charges: Everything that was charged, oldest first.
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
