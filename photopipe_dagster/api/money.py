"""What things would cost, and what may be spent, as the API says it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field

from photopipe_dagster.api.errors import ApiError
from photopipe_dagster.api.jobs import CamelModel, Usd
from photopipe_dagster.core.money import usd
from photopipe_dagster.costs.estimate import PhotoEstimate
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.money.budget import Period
from photopipe_dagster.operations.batches import short_of


class OverBudget(StrEnum):
    """What becomes of something that costs more than the budget has left.

    `wait`: what is beyond it waits, and continues automatically, as with the pages. `refuse`: it is
    refused (409), and nothing is begun.
    """

    WAIT = "wait"
    REFUSE = "refuse"


class Budget(CamelModel):
    """A UTC day or month. `limitUsd` and `leftUsd` are null where there is no limit."""

    span: Literal["day", "month"]
    spent_usd: Usd
    limit_usd: Usd | None
    left_usd: Usd | None
    ends: datetime

    @classmethod
    def of(cls, period: Period) -> Self:
        """From the ledger's."""
        return cls(
            span=period.span,
            spent_usd=period.spent,
            limit_usd=period.limit,
            left_usd=period.room,
            ends=period.ends,
        )


def budgets(ledger: Ledger) -> list[Budget]:
    """Today's and this month's."""
    return [Budget.of(ledger.budget.day()), Budget.of(ledger.budget.month())]


class Price(CamelModel):
    """What a photo in a theme costs at most. `standing` says why nothing would be done, if so."""

    job_id: str
    theme: str
    cutout_usd: Usd
    background_usd: Usd
    reused: list[str]
    standing: str | None

    @classmethod
    def of(cls, estimate: PhotoEstimate) -> Self:
        """From an estimate."""
        return cls(
            job_id=estimate.key.job_id,
            theme=estimate.key.theme,
            cutout_usd=estimate.cutout,
            background_usd=estimate.background,
            reused=[stage.value for stage in estimate.reused],
            standing=estimate.standing or None,
        )


class Estimate(CamelModel):
    """What something costs at most; what is there already is reused.

    `overBudget` names the budgets that have less left than that.
    """

    total_usd: Usd
    prices: list[Price]
    over_budget: list[Literal["day", "month"]]
    budget: list[Budget]

    @classmethod
    def of(cls, ledger: Ledger, estimates: Iterable[PhotoEstimate]) -> Self:
        """Of photos."""
        found = list(estimates)
        total = sum((each.total for each in found), Decimal(0))
        return cls(
            total_usd=total,
            prices=[Price.of(each) for each in found],
            over_budget=[each.span for each in short_of(ledger, total)],
            budget=budgets(ledger),
        )


MaxCost = Annotated[Decimal | None, Field(ge=0, max_digits=14, decimal_places=6)]
"""USD; what would cost more is refused."""


def require_affordable(
    ledger: Ledger, total: Decimal, *, max_cost: Decimal | None, over_budget: OverBudget
) -> None:
    """See that something costs what the caller agrees to.

    Raises:
        ApiError: 409, it costs more than that, or than the budget has left.
    """
    if max_cost is not None and total > max_cost:
        raise ApiError(
            409,
            "over_max_cost",
            f"It would cost {usd(total)} USD at most, more than your maxCost. Aborted.",
        )
    short = short_of(ledger, total)
    if over_budget is OverBudget.REFUSE and short:
        raise ApiError(
            409,
            "over_budget",
            f"It would cost {usd(total)} USD at most. "
            + " ".join(f"{period.describe()}." for period in short)
            + " Aborted.",
        )
