"""Which provider of a route each picture has come to, and why it left those before.

A hop is written before the next provider is paid: a process that dies then goes on with the next,
and never with two at once.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import insert, select, update

from photopipe_dagster.core.errors import JobError
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.ledger.breakers import Breakers
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.money.spending import DIED, OPEN, SpendState, recipe_of
from photopipe_dagster.ledger.tables import route_hops, spending


@dataclass(frozen=True, slots=True)
class Hop:
    """One step from a provider to the next.

    Args:
        place: Where the picture is stored; photos of one SKU in several themes share a cut-out.
        job_id: The job that was under way.
        provider: Who was left.
        next: Who is asked from now on.
        reason: Why, for a person.
        at: When.
    """

    place: str
    job_id: str
    stage: Stage
    provider: str
    next: str
    reason: str
    at: datetime


class Routes:
    """The hops of the ledger.

    Args:
        breakers: Count a failure that a photo has gone round.
    """

    def __init__(self, database: Database, breakers: Breakers) -> None:
        self._database = database
        self._breakers = breakers

    def of_place(self, place: str) -> list[Hop]:
        """The way of one picture, oldest first."""
        query = select(route_hops).where(route_hops.c.place == place).order_by(route_hops.c.id)
        return [_to_hop(row) for row in self._database.all(query)]

    def leave(
        self,
        place: str,
        *,
        job_id: str,
        stage: Stage,
        provider: str,
        purchase_key: str,
        next_provider: str,
        reason: str,
        error: JobError | None = None,
    ) -> bool:
        """Go on to the next provider, unless something is still to be fetched at this one.

        What a process had reserved here when it died is counted as unknown. The caller holds the
        lease on what is bought.

        Args:
            purchase_key: What was to be bought of the provider that is left.
            error: Why it is left, if it failed: the failure counts for its breaker.

        Returns:
            Whether the hop is written.
        """
        now = self._database.now()
        with self._database.write() as connection:
            if error is not None and error.blamed_service is not None:
                # First of all: anyone who locks a breaker and more does it in this order.
                self._breakers.failed(
                    connection,
                    error.blamed_service,
                    error.message,
                    for_good=error.refuses_all,
                    refused=error.is_refusal,
                )
            # Of any job: photos of the same bytes fetch for each other what one has bought.
            same = spending.c.recipe == recipe_of(purchase_key)
            opened = select(spending.c.state).where(same, spending.c.state.in_(OPEN))
            if SpendState.SUBMITTED in connection.scalars(opened.with_for_update()).all():
                return False
            mine = spending.c.purchase_key == purchase_key
            died = update(spending).where(mine, spending.c.state == SpendState.RESERVED)
            died = died.values(state=SpendState.UNKNOWN, note=DIED, updated_at=now)
            connection.execute(died)
            values = {
                "place": place,
                "job_id": job_id,
                "stage": stage,
                "provider": provider,
                "next": next_provider,
                "reason": reason,
                "at": now,
            }
            connection.execute(insert(route_hops).values(values))
        return True


def _to_hop(row: object) -> Hop:
    values = {field.name: getattr(row, field.name) for field in fields(Hop)}
    return Hop(**values | {"stage": Stage(values["stage"])})
