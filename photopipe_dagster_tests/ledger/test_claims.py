from concurrent.futures import ThreadPoolExecutor

from photopipe_dagster.ledger import Ledger
from photopipe_dagster_tests.ledger.conftest import Clock


def test_one_of_many_takers_gets_a_claim(ledger: Ledger):
    with ThreadPoolExecutor(20) as pool:
        got = list(pool.map(lambda number: ledger.claims.take(["x"], f"o{number}"), range(20)))
    assert sum(bool(taken) for taken in got) == 1


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
