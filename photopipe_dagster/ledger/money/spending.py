"""Spending, written before it happens: reserved → submitted → charged, void or unknown.

Every attempt to buy is a row of its own, failed and discarded ones too:

* ``reserved``  the call is about to be made; if its process dies now, nobody knows.
* ``submitted`` the provider gave a reference; after a crash the result is fetched, not rebought.
* ``charged``   paid.
* ``void``      refused by the provider, or never sent: nothing was paid.
* ``unknown``   the request may have arrived, nobody answered: counted at full price.
* ``shared``    bought for another photo of the same bytes by the same recipe: nothing was paid.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, TypedDict, Unpack

from sqlalchemy import (
    Connection,
    String,
    and_,
    bindparam,
    cast,
    func,
    insert,
    select,
    update,
)

from photopipe_dagster.core.errors import BudgetExceededError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.tables import Usd, jobs, spending

DIED: Final = "the process died during the call"

_COPIES: Final = 20
"""Stored pictures of one recipe that are looked at, at most."""


class SpendState(StrEnum):
    """The life of a paid call."""

    RESERVED = "reserved"
    SUBMITTED = "submitted"
    CHARGED = "charged"
    VOID = "void"
    UNKNOWN = "unknown"
    SHARED = "shared"


OPEN = (SpendState.RESERVED, SpendState.SUBMITTED)
COUNTED = (SpendState.RESERVED, SpendState.SUBMITTED, SpendState.CHARGED, SpendState.UNKNOWN)
"""States whose amount counts as spent: all but void and shared."""

# Built once: SQLAlchemy takes longer to build a statement than to run it.

_OPEN_OF: Final = (
    select(spending)
    .where(spending.c.recipe == bindparam("bought"), spending.c.state.in_(OPEN))
    .with_for_update()
)

_OPEN_ROW: Final = (
    update(spending)
    .where(spending.c.id == bindparam("spend"), spending.c.state.in_(OPEN))
    .where(spending.c.owner == func.coalesce(bindparam("by", type_=String), spending.c.owner))
    .returning(spending.c.job_id, spending.c.stage, spending.c.amount)
)
"""Changes a row while it is open; ``by`` is its owner, or ``None`` for any owner."""

_AMOUNT_OF: Final = (
    select(spending.c.amount).where(spending.c.id == bindparam("spend")).with_for_update()
)

_NEW_ROW: Final = insert(spending).returning(spending)

_ADD_COST: Final = {
    stage: update(jobs)
    .where(jobs.c.id == bindparam("of_job"))
    .values({column: column + bindparam("more", type_=Usd)})
    for stage, column in (
        (Stage.MASK, jobs.c.segmentation_cost),
        (Stage.BACKGROUND, jobs.c.background_cost),
    )
}
"""Keeps a job's own sum equal to its rows, in the same transaction."""


@dataclass(frozen=True, slots=True)
class Spend:
    """One attempt to buy something.

    Args:
        purchase_key: What is bought: where it will be stored, and its recipe.
        amount: USD.
        reference: From what the result can be fetched; may be a signed URL, so never shown.
        discarded: Paid, but what was made is lost or unusable.
    """

    id: int
    purchase_key: str
    job_id: str
    stage: Stage
    provider: str
    state: SpendState
    amount: Decimal
    reference: str | None
    owner: str
    discarded: bool
    note: str | None
    created_at: datetime

    def __repr__(self) -> str:
        return f"Spend({self.id}, {self.purchase_key!r}, {self.state}, {self.amount})"


class Purchased(TypedDict):
    """What is bought for a photo at a stage, from whom, for how many USD, and in whose name."""

    key: PhotoKey
    stage: Stage
    provider: str
    amount: Decimal
    owner: str


class Spending:
    """The spending of the ledger.

    Args:
        database: Where it is written.
        refusal: Says within the reserving transaction why an amount is too much for the budget.
    """

    def __init__(
        self,
        database: Database,
        refusal: Callable[[Connection, Decimal], BudgetExceededError | None] = lambda _, __: None,
    ) -> None:
        self._database = database
        self._refusal = refusal

    def reserve(self, purchase_key: str, **what: Unpack[Purchased]) -> Spend:
        """Begin to buy, or take up what an earlier process had submitted.

        The caller holds the lease on what is bought, so an open row of the same recipe is that of
        a process that died: a submitted one is resumed, a reserved one becomes unknown.

        Returns:
            A row that is reserved, or submitted with a reference to resume: it may be of another
            photo of the same bytes, which has paid.

        Raises:
            BudgetExceededError: The amount is more than the budget has left. What was submitted is
                paid already, and resumed whatever the budget.
        """
        with self._database.write() as connection:
            for row in connection.execute(_OPEN_OF, {"bought": recipe_of(purchase_key)}).all():
                if row.state == SpendState.SUBMITTED:
                    taken_over = update(spending).where(spending.c.id == row.id)
                    taken_over = taken_over.values(owner=what["owner"]).returning(spending)
                    return to_spend(connection.execute(taken_over).one())
                self._settle(connection, row.id, SpendState.UNKNOWN, DIED)
            refusal = self._refusal(connection, what["amount"])
            if refusal is None:
                return self._add(connection, SpendState.RESERVED, purchase_key, **what)
        # After the transaction: what it says of dead processes holds anyway.
        raise refusal

    def take_up_lost(self, purchase_key: str, owner: str) -> Spend | None:
        """Take up what an earlier process had reserved when it died, for one that can look for it.

        The caller holds the lease on what is bought.
        """
        with self._database.write() as connection:
            for row in connection.execute(_OPEN_OF, {"bought": recipe_of(purchase_key)}).all():
                if row.state == SpendState.RESERVED:
                    taken = update(spending).where(spending.c.id == row.id).values(owner=owner)
                    return to_spend(connection.execute(taken.returning(spending)).one())
        return None

    def book(self, purchase_key: str, **what: Unpack[Purchased]) -> None:
        """Write down what others have bought and paid, once: a second time nothing happens.

        It counts in the budget, but is not refused for it: the money is gone.
        """
        with self._database.write() as connection:
            # Not for what it says, but to take turns with those that reserve.
            self._refusal(connection, Decimal(0))
            query = select(spending.c.id).where(spending.c.purchase_key == purchase_key)
            if connection.execute(query.limit(1)).first() is not None:
                return
            self._add(connection, SpendState.CHARGED, purchase_key, **what)

    def share(self, purchase_key: str, payer: str, **what: Unpack[Purchased]) -> None:
        """Write down, once, that a photo shares what was bought for another one.

        Args:
            payer: The job that has paid.
            what: Nothing is paid here, so its amount is 0.
        """
        known = select(spending.c.id).where(
            spending.c.purchase_key == purchase_key, spending.c.state != SpendState.VOID
        )
        with self._database.write() as connection:
            if connection.execute(known.limit(1)).first() is None:
                row = self._add(connection, SpendState.SHARED, purchase_key, **what)
                note = {"note": f"Bought once, for job {payer}."}
                connection.execute(update(spending).where(spending.c.id == row.id).values(note))

    def of_recipe(self, recipe: str) -> list[Spend]:
        """What was bought or shared by a recipe, and may be stored; those that paid come first."""
        query = (
            select(spending)
            .where(spending.c.recipe == recipe, spending.c.state != SpendState.VOID)
            .where(~spending.c.discarded)
            .order_by(spending.c.amount.desc(), spending.c.id)
        )
        return [to_spend(row) for row in self._database.all(query.limit(_COPIES))]

    def _add(
        self,
        connection: Connection,
        state: SpendState,
        purchase_key: str,
        **what: Unpack[Purchased],
    ) -> Spend:
        key, now = what["key"], self._database.now()
        values = {
            "purchase_key": purchase_key,
            "recipe": recipe_of(purchase_key),
            "job_id": key.job_id,
            "sku": key.sku,
            "theme": key.theme,
            "stage": what["stage"],
            "provider": what["provider"],
            "state": state,
            "amount": what["amount"],
            "owner": what["owner"],
            "discarded": False,
            "created_at": now,
            "updated_at": now,
        }
        row = connection.execute(_NEW_ROW, values).one()
        more = {"of_job": key.job_id, "more": what["amount"]}
        connection.execute(_ADD_COST[what["stage"]], more)
        return to_spend(row)

    def submitted(self, spend_id: int, reference: str, *, owner: str | None = None) -> None:
        """The provider gave a reference: keep it before anything else is done with it.

        Args:
            owner: Who says so. One from whom the row was taken over has no say any more.
        """
        with self._database.write() as connection:
            values = {
                "state": SpendState.SUBMITTED,
                "reference": reference,
                "updated_at": self._database.now(),
            }
            connection.execute(_OPEN_ROW, {"spend": spend_id, "by": owner, **values})

    def settle(
        self,
        spend_id: int,
        state: SpendState,
        note: str | None = None,
        *,
        discarded: bool = False,
        owner: str | None = None,
        amount: Decimal | None = None,
    ) -> None:
        """The call has ended: charged, void or unknown. Settled once, it stays so.

        Args:
            amount: USD that it has cost; what was reserved where not given.
            owner: Who says so. One from whom the row was taken over has no say any more: that its
                own call failed says nothing of the one that goes on.
        """
        with self._database.write() as connection:
            self._settle(
                connection, spend_id, state, note, discarded=discarded, owner=owner, amount=amount
            )

    def kept(self, purchase_key: str) -> None:
        """What was bought is in the store: if its row is open, its process died in between.

        The caller holds the lease on what is bought.
        """
        query = select(spending.c.id).where(
            spending.c.purchase_key == purchase_key, spending.c.state.in_(OPEN)
        )
        for row in self._database.all(query):
            self.settle(row.id, SpendState.CHARGED)

    def submitted_among(self, purchase_keys: Collection[str]) -> frozenset[str]:
        """Which of these are bought and only to be fetched."""
        query = select(spending.c.purchase_key).where(
            spending.c.purchase_key.in_(purchase_keys), spending.c.state == SpendState.SUBMITTED
        )
        return frozenset(row.purchase_key for row in self._database.all(query))

    def lost(self, since: datetime | None = None) -> tuple[Decimal, Decimal]:
        """USD of calls that nobody answered, and USD paid for what is lost or unusable."""
        sums = []
        for which in (
            spending.c.state == SpendState.UNKNOWN,
            and_(spending.c.state == SpendState.CHARGED, spending.c.discarded),
        ):
            query = select(func.sum(spending.c.amount)).where(which)
            if since is not None:
                query = query.where(spending.c.created_at >= since)
            sums.append(self._database.value(query) or Decimal(0))
        return sums[0], sums[1]

    def of_job(self, job_id: str) -> list[Spend]:
        """All attempts of a job, oldest first."""
        query = select(spending).where(spending.c.job_id == job_id).order_by(spending.c.id)
        return [to_spend(row) for row in self._database.all(query)]

    def total(self, since: datetime | None = None) -> Decimal:
        """USD spent since a moment, or ever."""
        query = select(func.sum(spending.c.amount)).where(spending.c.state.in_(COUNTED))
        if since is not None:
            query = query.where(spending.c.created_at >= since)
        return self._database.value(query) or Decimal(0)

    def by(self, *columns: str, since: datetime | None = None) -> list[Mapping[str, Any]]:
        """USD and attempts, grouped by columns such as ``provider`` or ``stage``.

        ``day`` is the UTC day of the reservation, as ``2026-11-01``.
        """
        day = func.substr(cast(spending.c.created_at, String), 1, 10).label("day")
        chosen = [day if name == "day" else spending.c[name] for name in columns]
        query = (
            select(
                *chosen,
                func.sum(spending.c.amount).label("amount"),
                func.count().label("attempts"),
            )
            .where(spending.c.state.in_(COUNTED))
            .group_by(*chosen)
            .order_by(*chosen)
        )
        if since is not None:
            query = query.where(spending.c.created_at >= since)
        return [dict(row._mapping) for row in self._database.all(query)]

    def _settle(
        self,
        connection: Connection,
        spend_id: int,
        state: SpendState,
        note: str | None,
        *,
        discarded: bool = False,
        owner: str | None = None,
        amount: Decimal | None = None,
    ) -> None:
        reserved = connection.execute(_AMOUNT_OF, {"spend": spend_id}).scalar_one_or_none()
        values: dict[str, Any] = {
            "state": state,
            "note": note,
            "discarded": discarded,
            "reference": None,
            "updated_at": self._database.now(),
        }
        if amount is not None:
            values["amount"] = amount
        settled = connection.execute(_OPEN_ROW, {"spend": spend_id, "by": owner, **values}).first()
        if settled is None or reserved is None:
            return
        more = (settled.amount if state in COUNTED else Decimal(0)) - reserved
        if more:
            change = {"of_job": settled.job_id, "more": more}
            connection.execute(_ADD_COST[Stage(settled.stage)], change)


def recipe_of(purchase_key: str) -> str:
    """The recipe in what a purchase is kept under, see `pipeline.purchase_keys`."""
    return purchase_key.rpartition("#")[2][:64]


def to_spend(row: Any) -> Spend:
    """A row of the table as an attempt to buy."""
    values = {field.name: getattr(row, field.name) for field in fields(Spend)}
    return Spend(**values | {"stage": Stage(row.stage), "state": SpendState(row.state)})
