import random
from concurrent.futures import ThreadPoolExecutor

from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.leases import run_claim
from photopipe_dagster_tests.ledger.conftest import Clock


def test_one_of_many_takers_gets_a_claim(ledger: Ledger):
    with ThreadPoolExecutor(20) as pool:
        got = list(pool.map(lambda number: ledger.claims.take(["x"], f"o{number}"), range(20)))
    assert sum(bool(taken) for taken in got) == 1


def test_many_who_take_and_release_many_claims_never_wait_for_each_other_in_a_ring(
    ledger: Ledger,
):
    names = [f"{word}{number}" for number in range(8) for word in ("b", "A", "é", "a-")]

    def work(owner: str) -> None:
        order = random.Random(owner)
        for _ in range(12):
            held = ledger.claims.take(order.sample(names, len(names)), owner)
            ledger.claims.take(order.sample(sorted(held), len(held)), owner)
            ledger.claims.release(owner, order.sample(sorted(held), len(held) // 2))
            ledger.claims.release(owner)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, [f"owner-{number}" for number in range(6)]))
    assert ledger.claims.take(names, "last") == set(names)


def test_a_claim_is_kept_by_taking_it_again_and_ends_otherwise(ledger: Ledger, clock: Clock):
    assert ledger.claims.take(["a", "b"], "me") == {"a", "b"}
    assert ledger.claims.take(["a", "c"], "you") == {"c"}
    clock.move(20)
    assert ledger.claims.take(["a"], "me") == {"a"}
    clock.move(20)
    assert ledger.claims.take(["a", "b"], "you") == {"b"}
    assert ledger.claims.take(["b"], "me") == frozenset()


def test_releasing_frees_only_ones_own(ledger: Ledger):
    ledger.claims.take(["a", "b"], "me")
    ledger.claims.release("you")
    assert ledger.claims.take(["a"], "you") == frozenset()
    ledger.claims.release("me", ["a"])
    assert ledger.claims.take(["a", "b"], "you") == {"a"}
    ledger.claims.release("me")
    assert ledger.claims.take([], "you") == frozenset()
    assert ledger.claims.take(["b"], "you") == {"b"}


def test_a_run_is_dead_once_its_claim_ended_without_being_given_back(ledger: Ledger, clock: Clock):
    ledger.claims.take([run_claim("ended"), "job:x"], "one")
    ledger.claims.take([run_claim("dies"), "job:y"], "two")
    assert ledger.claims.lives("dies")
    assert ledger.claims.dead_runs() == []
    ledger.claims.release("one")
    clock.move(1000)
    ledger.claims.take([run_claim("begins")], "three")
    assert ledger.claims.dead_runs() == ["dies"]
    assert [ledger.claims.lives(run) for run in ("ended", "dies", "begins")] == [False, False, True]
    ledger.claims.bury("dies")
    ledger.claims.bury("begins")
    assert ledger.claims.dead_runs() == []
    assert ledger.claims.lives("begins")


def test_it_is_known_whether_any_run_is_at_work(ledger: Ledger, clock: Clock):
    ledger.claims.take(["job:x"], "one")
    assert not ledger.claims.any_run_lives()
    ledger.claims.take([run_claim("works")], "one")
    assert ledger.claims.any_run_lives()
    clock.move(31)
    assert not ledger.claims.any_run_lives()
