"""Messages to the inference process: what gathers goes together, nothing is lost, nothing waits without bound."""

import asyncio

import pytest

from tickloom.serving.dispatch import BusyError, Dispatcher


def asked(ticker):
    return {"market": "XNYS", "ticker": ticker, "version": "1", "levels": [], "as_of": None, "why": False}


class Other:
    """An inference process that answers when it is let."""

    def __init__(self):
        self.messages = []
        self.open = asyncio.Event()
        self.error = None

    async def __call__(self, some):
        self.messages.append([it["ticker"] for it in some])
        await self.open.wait()
        if self.error:
            raise self.error
        return [{"model": it["ticker"]} for it in some]


def test_a_lone_request_waits_for_nobody():
    async def run():
        other = Other()
        other.open.set()
        return await Dispatcher(other).ask(asked("A")), other.messages

    assert asyncio.run(run()) == ({"model": "A"}, [["A"]])


def test_what_gathers_meanwhile_goes_together_and_each_gets_its_own():
    async def run():
        other = Other()
        dispatcher = Dispatcher(other, flights=1, most=4)
        tasks = [asyncio.ensure_future(dispatcher.ask(asked(name))) for name in "ABCD"]
        await asyncio.sleep(0)
        assert dispatcher.waiting == 3
        other.open.set()
        return [it["model"] for it in await asyncio.gather(*tasks)], other.messages

    assert asyncio.run(run()) == (list("ABCD"), [["A"], ["B", "C", "D"]])


def test_one_more_message_is_sent_before_the_answer_where_it_is_full():
    async def run():
        other = Other()
        dispatcher = Dispatcher(other, flights=1, most=2)
        tasks = [asyncio.ensure_future(dispatcher.ask(asked(name))) for name in "ABCDEF"]
        for _ in range(3):
            await asyncio.sleep(0)
        before = list(other.messages)
        other.open.set()
        return [it["model"] for it in await asyncio.gather(*tasks)], before, other.messages

    messages = [["A"], ["B", "C"], ["D", "E"], ["F"]]
    assert asyncio.run(run()) == (list("ABCDEF"), messages[:2], messages)


def test_beyond_the_limit_requests_are_refused_at_once():
    async def run():
        other = Other()
        dispatcher = Dispatcher(other, flights=1, waiting=2)
        tasks = [asyncio.ensure_future(dispatcher.ask(asked(name))) for name in "ABC"]
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="2 forecasts wait"):
            await dispatcher.ask(asked("D"))
        with pytest.raises(BusyError):
            await dispatcher.ask_all([asked("D")])
        other.open.set()
        return len(await asyncio.gather(*tasks))

    assert asyncio.run(run()) == 3


def test_a_failure_reaches_all_of_its_message_and_the_next_goes_on():
    async def run():
        other = Other()
        other.error = OSError("gone")
        dispatcher = Dispatcher(other, flights=1)
        first = asyncio.ensure_future(dispatcher.ask(asked("A")))
        await asyncio.sleep(0)
        other.open.set()
        with pytest.raises(OSError, match="gone"):
            await first
        other.error = None
        return await dispatcher.ask(asked("B"))

    assert asyncio.run(run()) == {"model": "B"}


def test_whoever_has_gone_is_not_asked_for():
    async def run():
        other = Other()
        dispatcher = Dispatcher(other, flights=1)
        tasks = [asyncio.ensure_future(dispatcher.ask(asked(name))) for name in "ABC"]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.sleep(0)
        other.open.set()
        await asyncio.gather(tasks[0], tasks[2])
        return other.messages

    assert asyncio.run(run()) == [["A"], ["C"]]


def test_an_answer_of_another_length_is_no_answer():
    async def run():
        async def short(some):
            return []

        with pytest.raises(ValueError, match="shorter"):
            await Dispatcher(short).ask(asked("A"))

    asyncio.run(run())
