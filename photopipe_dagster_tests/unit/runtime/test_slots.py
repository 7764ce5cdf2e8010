"""Slots: there are never more than there are, whichever photo waits, fails or is cancelled."""

import asyncio

import pytest

from photopipe_dagster.runtime.slots import Slot


async def turn_of_others() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_there_are_so_many_and_no_more():
    slots, entered, most = asyncio.Semaphore(2), [], []

    async def work(number: int) -> None:
        async with Slot(slots):
            entered.append(number)
            most.append(number)
            assert len(most) <= 2
            await turn_of_others()
            most.remove(number)

    await asyncio.gather(*(work(number) for number in range(5)))
    assert entered == [0, 1, 2, 3, 4]
    assert not slots.locked()


async def test_a_released_slot_goes_to_another_and_comes_back_in_turn():
    slots, said, waited = asyncio.Semaphore(1), [], asyncio.Event()

    async def first() -> None:
        async with Slot(slots) as slot:
            async with slot.released():
                await waited.wait()
            said.append("first")

    async def another(name: str) -> None:
        async with Slot(slots):
            waited.set()
            await turn_of_others()
            said.append(name)

    await asyncio.gather(first(), another("second"), another("third"))
    assert said == ["second", "third", "first"]
    assert not slots.locked()


async def test_a_failure_while_released_is_handled_with_a_slot():
    slots = asyncio.Semaphore(1)

    async def fail(slot: Slot) -> None:
        async with slot.released():
            assert not slots.locked()
            raise ValueError("gone")

    async with Slot(slots) as slot:
        for _ in range(3):
            with pytest.raises(ValueError, match="gone"):
                await fail(slot)
            assert slots.locked()
    assert not slots.locked()


async def test_a_cancelled_photo_takes_no_slot_with_it():
    slots = asyncio.Semaphore(1)

    async def work(*, release: bool) -> None:
        async with Slot(slots) as slot:
            if release:
                async with slot.released():
                    await asyncio.sleep(60)
            await asyncio.sleep(60)

    working, waiting = (asyncio.create_task(work(release=False)) for _ in range(2))
    await turn_of_others()
    waiting.cancel()
    await turn_of_others()
    working.cancel()
    released = asyncio.create_task(work(release=True))
    await turn_of_others()
    assert not slots.locked()
    released.cancel()
    await asyncio.gather(working, waiting, released, return_exceptions=True)
    assert not slots.locked()
