"""Hands: there are never more than there are, whoever rests, fails or is cancelled."""

import asyncio

import pytest

from photopipe_dagster.runtime.slots import Hand, Hands


async def turn_of_others() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_there_are_so_many_and_no_more():
    hands, entered = Hands(2), []

    async def work(number: int) -> None:
        async with Hand(hands):
            entered.append(number)
            await turn_of_others()
            assert hands.free == 0 or len(entered) == 5

    await asyncio.gather(*(work(number) for number in range(5)))
    assert entered == [0, 1, 2, 3, 4]
    assert hands.free == 2


async def test_who_rests_leaves_its_hand_to_another_and_goes_on_when_its_turn_comes():
    hands, said, rested = Hands(1), [], asyncio.Event()

    async def first() -> None:
        async with Hand(hands) as hand:
            async with hand.rests():
                await rested.wait()
            said.append("first")

    async def another(name: str) -> None:
        async with Hand(hands):
            rested.set()
            await turn_of_others()
            said.append(name)

    await asyncio.gather(first(), another("second"), another("third"))
    assert said == ["second", "third", "first"]
    assert hands.free == 1


async def test_who_fails_while_it_rests_has_its_hand_again_for_what_it_does_about_it():
    hands = Hands(1)

    async def fail(hand: Hand) -> None:
        async with hand.rests():
            assert hands.free == 1
            raise ValueError("gone")

    async with Hand(hands) as hand:
        for _ in range(3):
            with pytest.raises(ValueError, match="gone"):
                await fail(hand)
            assert hands.free == 0
    assert hands.free == 1


async def test_who_is_cancelled_takes_no_hand_with_it():
    hands = Hands(1)

    async def work(*, rest: bool) -> None:
        async with Hand(hands) as hand:
            if rest:
                async with hand.rests():
                    await asyncio.sleep(60)
            await asyncio.sleep(60)

    working, waiting = (asyncio.create_task(work(rest=False)) for _ in range(2))
    await turn_of_others()
    waiting.cancel()
    await turn_of_others()
    working.cancel()
    resting = asyncio.create_task(work(rest=True))
    await turn_of_others()
    assert hands.free == 1
    resting.cancel()
    await asyncio.gather(working, waiting, resting, return_exceptions=True)
    assert hands.free == 1


async def test_a_hand_that_comes_to_one_just_cancelled_goes_to_the_next():
    hands = Hands(1)
    await hands.take()
    waiting, next_one = asyncio.create_task(hands.take()), asyncio.create_task(hands.take())
    await turn_of_others()
    hands.give()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.wait_for(next_one, 1)
    hands.give()
    assert hands.free == 1
