"""Points that are promised to operations under way are not promised again."""

import pytest

from photopipe_dagster.shopify.cost_throttle import CostBucket
from photopipe_dagster.shopify.models import Cost
from photopipe_dagster_tests.unit.shopify.scripted import Time


def told(requested: float, available: float, rate: float = 100.0) -> Cost:
    status = {"maximumAvailable": 1000.0, "currentlyAvailable": available, "restoreRate": rate}
    return Cost.model_validate({"requestedQueryCost": requested, "throttleStatus": status})


async def test_an_answer_does_not_give_away_what_others_under_way_will_use() -> None:
    time = Time()
    bucket = CostBucket(sleep=time.sleep, clock=time.clock)
    async with bucket.admit("first"):
        bucket.learn("first", told(400, 1000))
    async with bucket.admit("first"):
        async with bucket.admit("first"):
            # Shopify has not counted the other one yet.
            bucket.learn("first", told(400, 600))
        async with bucket.admit("first"):
            assert time.slept == [pytest.approx((400 - (600 - 400)) / 100)]


async def test_what_was_under_way_and_is_lost_is_given_back() -> None:
    time = Time()
    bucket = CostBucket(sleep=time.sleep, clock=time.clock)
    async with bucket.admit("first"):
        bucket.learn("first", told(400, 1000))
    with pytest.raises(ConnectionError):
        async with bucket.admit("first"):
            raise ConnectionError
    async with bucket.admit("first"):
        bucket.learn("first", told(400, 400))
    async with bucket.admit("first"):
        assert time.slept == []


async def test_an_answer_without_figures_changes_nothing() -> None:
    time = Time()
    bucket = CostBucket(sleep=time.sleep, clock=time.clock)
    for _ in range(2):
        async with bucket.admit("first") as waited:
            assert bucket.learn("first", Cost())
            assert waited == 0
    assert time.slept == []
