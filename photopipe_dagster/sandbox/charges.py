"""The books of services that take money."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

Job = Literal["cutout", "background"]
"""What money was taken for."""


@dataclass(frozen=True, slots=True)
class Charge:
    """Money that a simulator took.

    Args:
        id: What was paid.
        operation: The service's own word for it.
        job: What it was for.
        usd: Amount.
        time: When.
    """

    id: str
    operation: str
    job: Job
    usd: Decimal
    time: datetime
