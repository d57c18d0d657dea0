"""Kopf's toggles wake who waits for them exactly when their common state has changed."""

import asyncio

import pytest

pytest.importorskip("kopf", reason="needs the package kopf: install tickloom[operator]")

from kopf._cogs.aiokits.aiotoggles import ToggleSet

from operators.streamjob import wake_ups


@pytest.fixture
def toggles(monkeypatch):
    monkeypatch.setattr(ToggleSet, "make_toggle", ToggleSet.make_toggle)
    monkeypatch.setattr(ToggleSet, "drop_toggle", ToggleSet.drop_toggle)
    wake_ups.spare()

    class Counted(ToggleSet):
        looks = 0

        def is_on(self):
            self.looks += 1
            return super().is_on()

    return Counted(all)


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_they_wake_when_the_last_one_is_dropped(toggles):
    async def scenario():
        made = [await toggles.make_toggle(name=str(number)) for number in range(100)]
        waiters = [asyncio.create_task(toggles.wait_for(True)) for _ in range(100)]
        await settle()
        before = toggles.looks
        for toggle in made[:-1]:
            await toggles.drop_toggle(toggle)
            await settle()
        assert not any(waiter.done() for waiter in waiters)
        assert toggles.looks - before == 2 * 99, "nobody but the dropping itself has looked"
        await toggles.drop_toggle(made[-1])
        await asyncio.wait_for(asyncio.gather(*waiters), 5)

    asyncio.run(scenario())


def test_they_wake_when_one_is_turned_or_made(toggles):
    async def scenario():
        toggle = await toggles.make_toggle()
        waiter = asyncio.create_task(toggles.wait_for(True))
        await settle()
        await toggle.turn_to(True)
        await asyncio.wait_for(waiter, 5)
        waiter = asyncio.create_task(toggles.wait_for(False))
        await settle()
        assert not waiter.done()
        await toggles.make_toggle(False)
        await asyncio.wait_for(waiter, 5)

    asyncio.run(scenario())
