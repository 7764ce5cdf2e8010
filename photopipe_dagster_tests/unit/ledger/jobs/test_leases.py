import random
from concurrent.futures import ThreadPoolExecutor

from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.leases import run_lease
from photopipe_dagster_tests.unit.ledger.conftest import Clock


def test_one_of_many_takers_gets_a_claim(ledger: Ledger):
    with ThreadPoolExecutor(20) as pool:
        got = list(pool.map(lambda number: ledger.leases.take(["x"], f"o{number}"), range(20)))
    assert sum(bool(taken) for taken in got) == 1


def test_many_who_take_and_release_many_claims_never_wait_for_each_other_in_a_ring(
    ledger: Ledger,
):
    names = [f"{word}{number}" for number in range(8) for word in ("b", "A", "é", "a-")]

    def work(owner: str) -> None:
        order = random.Random(owner)
        for _ in range(12):
            held = ledger.leases.take(order.sample(names, len(names)), owner)
            ledger.leases.take(order.sample(sorted(held), len(held)), owner)
            ledger.leases.release(owner, order.sample(sorted(held), len(held) // 2))
            ledger.leases.release(owner)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, [f"owner-{number}" for number in range(6)]))
    assert ledger.leases.take(names, "last") == set(names)


def test_a_claim_is_kept_by_taking_it_again_and_ends_otherwise(ledger: Ledger, clock: Clock):
    assert ledger.leases.take(["a", "b"], "me") == {"a", "b"}
    assert ledger.leases.take(["a", "c"], "you") == {"c"}
    clock.move(20)
    assert ledger.leases.take(["a"], "me") == {"a"}
    clock.move(20)
    assert ledger.leases.take(["a", "b"], "you") == {"b"}
    assert ledger.leases.take(["b"], "me") == frozenset()


def test_releasing_frees_only_ones_own(ledger: Ledger):
    ledger.leases.take(["a", "b"], "me")
    ledger.leases.release("you")
    assert ledger.leases.take(["a"], "you") == frozenset()
    ledger.leases.release("me", ["a"])
    assert ledger.leases.take(["a", "b"], "you") == {"a"}
    ledger.leases.release("me")
    assert ledger.leases.take([], "you") == frozenset()
    assert ledger.leases.take(["b"], "you") == {"b"}


def test_a_run_is_dead_once_its_claim_ended_without_being_given_back(ledger: Ledger, clock: Clock):
    ledger.leases.take([run_lease("ended"), "job:x"], "one")
    ledger.leases.take([run_lease("dies"), "job:y"], "two")
    assert ledger.leases.is_alive("dies")
    assert ledger.leases.expired_runs() == []
    ledger.leases.release("one")
    clock.move(1000)
    ledger.leases.take([run_lease("begins")], "three")
    assert ledger.leases.expired_runs() == ["dies"]
    assert [ledger.leases.is_alive(run) for run in ("ended", "dies", "begins")] == [
        False,
        False,
        True,
    ]
    ledger.leases.forget(run_lease("dies"))
    ledger.leases.forget(run_lease("begins"))
    assert ledger.leases.expired_runs() == []
    assert ledger.leases.is_alive("begins")


def test_it_is_known_whether_any_run_is_at_work(ledger: Ledger, clock: Clock):
    ledger.leases.take(["job:x"], "one")
    assert not ledger.leases.any_run_is_alive()
    ledger.leases.take([run_lease("works")], "one")
    assert ledger.leases.any_run_is_alive()
    clock.move(31)
    assert not ledger.leases.any_run_is_alive()
