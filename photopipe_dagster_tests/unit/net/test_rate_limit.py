"""The speed limit: how many calls get through in how much time."""

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor

import pytest

from photopipe_dagster.net.rate_limit import Bucket, TokenBucket, shared_bucket


class FakeTime:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_what_is_there_is_taken_and_comes_back_up_to_the_limit():
    time = FakeTime()
    points = Bucket(100, 10, clock=time.clock)
    assert points.take_if_there(80) == 0
    assert points.take_if_there(80) == pytest.approx(6)
    assert points.wait(20) == 0
    time.now += 1000
    assert points.wait(100) == 0
    points.take_if_there(100)
    assert points.wait(1000) == pytest.approx(10)


def test_what_is_taken_before_it_is_there_is_owed():
    time = FakeTime()
    points = Bucket(1, 2, clock=time.clock)
    assert [points.take() for _ in range(3)] == pytest.approx([0, 0.5, 1])
    assert points.take_if_there() == pytest.approx(1.5)


def test_who_counts_better_is_believed():
    time = FakeTime()
    points = Bucket(math.inf, 1, clock=time.clock)
    assert points.take(10**9) == 0
    points.set(-50, 1000, 100)
    assert points.wait(50) == pytest.approx(1)
    time.now += 60
    assert points.wait(1000) == 0


def bucket(time: FakeTime, rate: float, burst: int) -> TokenBucket:
    return TokenBucket(rate, burst, clock=time.clock, sleep=time.sleep)


async def test_a_burst_goes_at_once_and_the_rest_at_the_rate():
    time = FakeTime()
    limit = bucket(time, rate=2.0, burst=3)
    waits = [await limit.acquire() for _ in range(6)]
    assert waits == pytest.approx([0, 0, 0, 0.5, 0.5, 0.5])


async def test_a_pause_refills_the_bucket_up_to_the_burst_only():
    time = FakeTime()
    limit = bucket(time, rate=1.0, burst=2)
    for _ in range(4):
        await limit.acquire()
    time.now += 1000
    assert [await limit.acquire() for _ in range(3)] == pytest.approx([0, 0, 1])


async def test_waiting_callers_are_spread_and_served_in_order():
    time = FakeTime()
    slept: list[float] = []

    async def note(seconds: float) -> None:  # time stands still: all come at the same moment
        slept.append(seconds)

    limit = TokenBucket(4.0, 1, clock=time.clock, sleep=note)
    await asyncio.gather(*(limit.acquire() for _ in range(4)))
    assert slept == pytest.approx([0.25, 0.5, 0.75])


async def test_each_caller_sleeps_exactly_once():
    time = FakeTime()
    limit = bucket(time, rate=1 / 60, burst=1)
    await limit.acquire()
    await limit.acquire()
    assert time.slept == pytest.approx([60])


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_limit_that_lets_nothing_through_is_refused(rate: float, burst: int):
    with pytest.raises(ValueError, match="must be"):
        TokenBucket(rate, burst)


async def test_a_share_of_less_than_one_request_a_minute_lets_one_through_at_a_time():
    time = FakeTime()
    limit = TokenBucket.per_minute(0.5, clock=time.clock, sleep=time.sleep)
    assert [await limit.acquire() for _ in range(3)] == pytest.approx([0, 120, 120])


async def test_forty_a_minute_are_never_above_forty_five():
    time = FakeTime()
    limit = TokenBucket.per_minute(40, clock=time.clock, sleep=time.sleep)
    calls = []
    for _ in range(200):
        await limit.acquire()
        calls.append(time.now)
    assert max(sum(start <= call < start + 60 for call in calls) for start in calls) <= 45


def test_all_runs_of_a_process_share_a_bucket():
    assert shared_bucket("a service", 40) is shared_bucket("a service", 40)
    assert shared_bucket("a service", 40) is not shared_bucket("another", 40)


def test_threads_that_share_a_bucket_get_a_turn_each():
    slept: list[float] = []

    async def note(seconds: float) -> None:
        slept.append(seconds)

    limit = TokenBucket(1.0, 1, clock=lambda: 100.0, sleep=note)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: asyncio.run(limit.acquire()), range(40)))
    assert sorted(slept) == pytest.approx(list(range(1, 40)))
