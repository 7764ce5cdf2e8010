"""Spending under any order of events: several owners, deaths, late messages, limits, restarts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete

from photopipe_dagster.core.errors import BudgetExceededError
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.money.budget import Limits
from photopipe_dagster.ledger.money.spending import COUNTED, OPEN, Spend, SpendState
from photopipe_dagster.ledger.tables import metadata
from photopipe_dagster_tests.unit.ledger.conftest import Clock, photo

LEASE = 30
LIMITS = Limits(day=Decimal("0.30"), month=Decimal("0.90"))
PRICES = [Decimal("0.02"), Decimal("0.05"), Decimal("0.1"), Decimal("0.000001")]
OWNERS = ["ann", "ben", "cid"]
KEYS = {"mask": (photo(1), Stage.MASK), "background": (photo(1), Stage.BACKGROUND)}
ENDS = [SpendState.CHARGED, SpendState.VOID, SpendState.UNKNOWN]


@dataclass
class Row:
    """What the model knows of a row."""

    id: int
    what: str
    owner: str
    amount: Decimal
    created_at: datetime
    state: SpendState = SpendState.RESERVED
    discarded: bool = False

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def live(self) -> bool:
        """Under way, or paid for something that is there."""
        return self.is_open or (self.state is SpendState.CHARGED and not self.discarded)


@dataclass
class Owner:
    """A process: what it believes to be buying, by purchase key."""

    name: str
    buying: dict[str, Spend] = field(default_factory=dict)


class SpendingMachine(RuleBasedStateMachine):
    """The model: rows, what is in the store, and who holds the lease on what until when."""

    url: str
    clock: Clock

    def __init__(self) -> None:
        super().__init__()
        # Two processes beside each other, each with its own tallies.
        self.ledgers = [self.open(), self.open()]
        with self.ledgers[0].database.write() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(delete(table))
        self.ledgers[0].intake.submit(photo(1), "poll")
        self.looks = 0
        self.owners = {name: Owner(name) for name in OWNERS}
        self.rows: dict[int, Row] = {}
        self.settled: dict[int, SpendState] = {}
        self.stored: set[str] = set()

    def open(self) -> Ledger:
        return Ledger(self.url, lease_seconds=LEASE, limits=LIMITS, clock=self.clock)

    def of(self, what: str) -> list[Row]:
        return [row for row in self.rows.values() if row.what == what]

    def counted(self, since: datetime) -> Decimal:
        rows = [row for row in self.rows.values() if row.created_at >= since]
        return sum((row.amount for row in rows if row.state in COUNTED), Decimal(0))

    def bounds(self) -> tuple[datetime, datetime]:
        day = self.clock.now.replace(hour=0, minute=0, second=0, microsecond=0)
        return day, day.replace(day=1)

    # --- buying --------------------------------------------------------------------------

    @rule(
        name=st.sampled_from(OWNERS),
        what=st.sampled_from(sorted(KEYS)),
        amount=st.sampled_from(PRICES),
        process=st.integers(0, 1),
    )
    def buys(self, name: str, what: str, amount: Decimal, process: int) -> None:
        """As `purchasing.buy` does: take the lease, look in the store, reserve or take up."""
        ledger, owner = self.ledgers[process], self.owners[name]
        if what in owner.buying or not ledger.leases.take([what], name):
            return
        if what in self.stored:
            ledger.spending.kept(what)
            for row in self.of(what):
                if row.is_open:
                    row.state = SpendState.CHARGED
            ledger.leases.release(name, [what])
            return
        key, stage = KEYS[what]
        to_resume = [row for row in self.of(what) if row.state is SpendState.SUBMITTED]
        for row in self.of(what):
            if row.state is SpendState.RESERVED:
                row.state = SpendState.UNKNOWN
        day, month = self.bounds()
        fits = (
            self.counted(day) + amount <= LIMITS.day
            and self.counted(month) + amount <= LIMITS.month
        )
        try:
            spend = ledger.spending.reserve(
                what, key=key, stage=stage, provider="freepik", amount=amount, owner=name
            )
        except BudgetExceededError:
            assert not to_resume
            assert not fits
            ledger.leases.release(name, [what])
            return
        assert spend.owner == name
        owner.buying[what] = spend
        if to_resume:
            assert (spend.id, spend.reference) == (to_resume[0].id, f"task {to_resume[0].id}")
            to_resume[0].owner = name
            return
        assert fits
        assert spend.id not in self.rows
        self.rows[spend.id] = Row(spend.id, what, name, amount, self.clock.now)

    @precondition(lambda self: any(owner.buying for owner in self.owners.values()))
    @rule(data=st.data(), process=st.integers(0, 1))
    def is_accepted(self, data: st.DataObject, process: int) -> None:
        self.accept(*self.draw_purchase(data), process)

    def accept(self, owner: Owner, what: str, process: int) -> None:
        spend = owner.buying[what]
        self.ledgers[process].spending.submitted(spend.id, f"task {spend.id}", owner=owner.name)
        owner.buying[what] = replace(spend, reference=f"task {spend.id}")
        row = self.rows[spend.id]
        if row.is_open and row.owner == owner.name:
            row.state = SpendState.SUBMITTED

    @precondition(lambda self: any(owner.buying for owner in self.owners.values()))
    @rule(
        data=st.data(),
        state=st.sampled_from(ENDS),
        discarded=st.booleans(),
        process=st.integers(0, 1),
    )
    def ends(self, data: st.DataObject, state: SpendState, discarded: bool, process: int) -> None:
        """Its own end, or, late, that of a call that another owner has taken over."""
        self.end(*self.draw_purchase(data), state, discarded=discarded, process=process)

    def end(
        self, owner: Owner, what: str, state: SpendState, *, discarded: bool, process: int
    ) -> None:
        spend = owner.buying.pop(what)
        if state is SpendState.CHARGED and not discarded:
            self.stored.add(what)
        ledger = self.ledgers[process]
        ledger.spending.settle(spend.id, state, discarded=discarded, owner=owner.name)
        row = self.rows[spend.id]
        if row.is_open and row.owner == owner.name:
            row.state, row.discarded = state, discarded
        ledger.leases.release(owner.name, [what])

    @precondition(lambda self: any(owner.buying for owner in self.owners.values()))
    @rule(data=st.data(), accepted=st.booleans(), state=st.sampled_from(ENDS))
    def is_overtaken(self, data: st.DataObject, accepted: bool, state: SpendState) -> None:
        """Stands still for longer than its lease, and speaks when another is at it."""
        owner, what = self.draw_purchase(data)
        if accepted:
            self.accept(owner, what, 0)
        self.time_passes(LEASE + 1, beating=False)
        other = next(name for name in OWNERS if what not in self.owners[name].buying)
        self.buys(other, what, PRICES[0], 1)
        self.end(owner, what, state, discarded=state is not SpendState.CHARGED, process=0)

    @precondition(lambda self: any(owner.buying for owner in self.owners.values()))
    @rule(data=st.data())
    def stores_and_dies(self, data: st.DataObject) -> None:
        """Between the store and the ledger."""
        owner, what = self.draw_purchase(data)
        self.stored.add(what)
        del owner.buying[what]

    @precondition(lambda self: any(owner.buying for owner in self.owners.values()))
    @rule(data=st.data(), politely=st.booleans())
    def gives_up(self, data: st.DataObject, politely: bool) -> None:
        """The result is not there yet, or the process dies; the row stays open either way."""
        owner, what = self.draw_purchase(data)
        del owner.buying[what]
        if politely:
            self.ledgers[0].leases.release(owner.name, [what])

    def draw_purchase(self, data: st.DataObject) -> tuple[Owner, str]:
        purchases = [
            (owner, what) for owner in self.owners.values() for what in sorted(owner.buying)
        ]
        return data.draw(st.sampled_from(purchases))

    # --- around it -----------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, LEASE + 1, 9 * 3600, 8 * 86400]), beating=st.booleans())
    def time_passes(self, seconds: int, beating: bool) -> None:
        """Owners renew their leases, or stand still for so long that others take over."""
        self.clock.move(seconds)
        for owner in self.owners.values() if beating else ():
            self.ledgers[0].leases.take(sorted(owner.buying), owner.name)

    @rule(process=st.integers(0, 1))
    def restarts(self, process: int) -> None:
        self.ledgers[process].close()
        self.ledgers[process] = self.open()

    # --- what always holds ---------------------------------------------------------------

    @invariant()
    def the_books_are_the_models(self) -> None:
        found = {spend.id: spend for spend in self.ledgers[0].spending.of_job(photo(1).job_id)}
        assert found.keys() == self.rows.keys()
        for row in self.rows.values():
            spend = found[row.id]
            assert (spend.state, spend.discarded) == (row.state, row.discarded)
            assert (spend.amount, spend.owner) == (row.amount, row.owner)
            assert (spend.reference is not None) == (row.state is SpendState.SUBMITTED)
            assert self.settled.get(row.id, row.state) is row.state, "settled stays settled"
            if not row.is_open:
                self.settled[row.id] = row.state

    @invariant()
    def nothing_is_bought_twice(self) -> None:
        for what in KEYS:
            assert sum(row.live for row in self.of(what)) <= 1, f"{what} is bought twice"

    @invariant()
    def sums_are_exact_and_within_the_limits(self) -> None:
        day, month = self.bounds()
        assert self.counted(day) <= LIMITS.day
        assert self.counted(month) <= LIMITS.month
        self.looks += 1
        ledger = self.ledgers[self.looks % 2]
        assert ledger.budget.day().spent == self.counted(day)
        assert ledger.budget.month().spent == self.counted(month)
        job = ledger.jobs.require(photo(1).job_id)
        assert job.total_cost == sum(
            (row.amount for row in self.rows.values() if row.state in COUNTED), Decimal(0)
        )

    def teardown(self) -> None:
        for ledger in self.ledgers:
            ledger.close()


def test_no_order_of_events_pays_twice_or_miscounts(tmp_path: Path) -> None:
    clock = Clock()
    url = f"sqlite:///{tmp_path}/ledger.db"
    ledger = Ledger(url, clock=clock)
    ledger.database.migrate()
    ledger.close()

    class Machine(SpendingMachine):
        pass

    Machine.url, Machine.clock = url, clock
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=20, stateful_step_count=25, deadline=None)
    )
