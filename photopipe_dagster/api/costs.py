"""What was spent on what, and what may be."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, ConfigDict

from photopipe_dagster.api.errors import GUARDED
from photopipe_dagster.api.examples import EXAMPLES
from photopipe_dagster.api.jobs import CamelModel, Usd
from photopipe_dagster.api.money import Budget, budgets
from photopipe_dagster.api.security import Scope, require
from photopipe_dagster.api.state import State

router = APIRouter(
    prefix="/api",
    tags=["costs"],
    dependencies=[Depends(require(Scope.READ))],
    responses=GUARDED,
)


class Grouping(StrEnum):
    """What costs can be added up by."""

    DAY = "day"
    THEME = "theme"
    PROVIDER = "provider"
    SKU = "sku"
    STAGE = "stage"
    STATE = "state"


class Spent(CamelModel):
    """What was spent on one group: its `day` (UTC), `provider` and so on, by which was asked."""

    group: dict[str, str]
    calls: int
    usd: Usd


class Costs(CamelModel):
    """What was spent. Of it, `unknownUsd` is for calls that nobody answered, and perhaps nobody
    bills, and `discardedUsd` for what is lost or unusable."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["Costs"]})

    since: datetime | None
    spending: list[Spent]
    total_usd: Usd
    unknown_usd: Usd
    discarded_usd: Usd
    budget: list[Budget]


@router.get("/costs")
def costs(
    state: State,
    by: Annotated[list[Grouping], Query(max_length=6)] = [Grouping.PROVIDER, Grouping.STAGE],  # noqa: B006
    since: Annotated[AwareDatetime | None, Query()] = None,
) -> Costs:
    """Show what was spent on what, and the budget of today and this month. Days are UTC."""
    spending, groups = state.ledger.spending, list(dict.fromkeys(by))
    unknown, discarded = spending.lost(since)
    return Costs(
        since=since,
        spending=[
            Spent(
                group={name.value: str(row[name]) for name in groups},
                calls=row["attempts"],
                usd=row["amount"],
            )
            for row in spending.by(*groups, since=since)
        ],
        total_usd=spending.total(since),
        unknown_usd=unknown,
        discarded_usd=discarded,
        budget=budgets(state.ledger),
    )
