"""What was spent in a period on what, as reports want it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, not_, select

from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.jobs.model import has_status
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.money.spending import COUNTED, OPEN, SpendState
from photopipe_dagster.ledger.tables import jobs, spending


@dataclass(frozen=True, slots=True)
class Account:
    """What was spent in a period on one product, theme, provider and stage. USD.

    Args:
        photos: Photos for which something was bought.
        attempts: Calls that cost something, or may have.
        retries: Calls beyond the first one for the same thing.
        kept: Paid for what was used.
        discarded: Paid for what was lost or unusable.
        unknown: Counted for calls that nobody answered.
        under_way: Reserved for calls that have not ended.
    """

    sku: str
    theme: str
    provider: str
    stage: str
    photos: int
    attempts: int
    retries: int
    kept: Decimal
    discarded: Decimal
    unknown: Decimal
    under_way: Decimal

    @property
    def total(self) -> Decimal:
        """All of it: what the ledger counts as spent."""
        return self.kept + self.discarded + self.unknown + self.under_way


class CostBreakdown:
    """Looks at the spending of whole periods."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def between(self, start: datetime, end: datetime) -> list[Account]:
        """The accounts of a period, by product, theme, provider and stage.

        Args:
            start: UTC, inclusive.
            end: UTC, exclusive.
        """
        charged = spending.c.state == SpendState.CHARGED
        groups = (spending.c.sku, spending.c.theme, spending.c.provider, spending.c.stage)
        query = (
            select(
                *groups,
                func.count(spending.c.job_id.distinct()),
                func.count(),
                func.count(spending.c.purchase_key.distinct()),
                _sum(and_(charged, not_(spending.c.discarded))),
                _sum(and_(charged, spending.c.discarded)),
                _sum(spending.c.state == SpendState.UNKNOWN),
                _sum(spending.c.state.in_(OPEN)),
            )
            .where(spending.c.created_at >= start, spending.c.created_at < end)
            .where(spending.c.state.in_(COUNTED))
            .group_by(*groups)
            .order_by(*groups)
        )
        return [_account(row) for row in self._database.all(query)]

    def published(self, start: datetime, end: datetime) -> int:
        """Photos that were done in a period."""
        query = select(func.count()).where(
            has_status(JobStatus.DONE),
            jobs.c.completed_at >= start,
            jobs.c.completed_at < end,
        )
        return int(self._database.value(query) or 0)


def _sum(condition: ColumnElement[bool]) -> ColumnElement[Decimal | None]:
    return func.sum(case((condition, spending.c.amount), else_=None))


def _account(row: Any) -> Account:
    *groups, photos, attempts, bought = row[:7]
    amounts = (amount or Decimal(0) for amount in row[7:])
    values: list[Any] = [*groups, photos, attempts, attempts - bought, *amounts]
    return Account(*values)
