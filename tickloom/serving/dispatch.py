"""Requests that wait for the inference process together go to it together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from tickloom.errors import TickloomError
from tickloom.serving.wire import Asked, Made

Send = Callable[[list[Asked]], Awaitable[Sequence[Made]]]


class BusyError(TickloomError):
    """More is waiting than can be answered in time."""


class Dispatcher:
    """Sends what has gathered while the last messages were on their way.

    A message costs the same for one forecast as for thirty, so at most ``flights`` are on their way at a time and what
    comes meanwhile shares the next one: alone a request waits for nobody, under load messages grow. Where whole
    messages wait, twice as many are on their way, so that the inference process finds the next one there.

    Parameters
    ----------
    send
        Brings a message to the inference process.
    flights
        Messages on their way at a time.
    most
        Forecasts in one message.
    waiting
        Forecasts that may wait; beyond, ``ask`` raises ``BusyError``.
    """

    def __init__(self, send: Send, flights: int = 1, most: int = 64, waiting: int = 512) -> None:
        self._send, self._flights, self._most, self._limit = send, flights, most, waiting
        self._queue: deque[tuple[Asked, asyncio.Future[Made]]] = deque()
        self._flying = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Forecasts that wait for a message."""
        return len(self._queue)

    async def ask(self, asked: Asked) -> Made:
        """Return the forecast of one; raises as ``ask_all`` does."""
        return (await self.ask_all([asked]))[0]

    async def ask_all(self, asked: Sequence[Asked]) -> list[Made]:
        """Return the forecasts of many, which go together.

        Raises
        ------
        BusyError
            Too many wait.
        """
        if len(self._queue) + len(asked) > self._limit:
            raise BusyError(f"{len(self._queue)} forecasts wait already")
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Made]] = [loop.create_future() for _ in asked]
        self._queue.extend(zip(asked, futures, strict=True))
        self._pump()
        return list(await asyncio.gather(*futures))

    def _pump(self) -> None:
        while self._queue and (
            self._flying < self._flights or (len(self._queue) >= self._most and self._flying < 2 * self._flights)
        ):
            some: list[tuple[Asked, asyncio.Future[Made]]] = []
            while self._queue and len(some) < self._most:
                asked, future = self._queue.popleft()
                if not future.cancelled():  # whoever asked has gone
                    some.append((asked, future))
            if some:
                self._flying += 1
                task = asyncio.ensure_future(self._fly(some))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _fly(self, some: list[tuple[Asked, "asyncio.Future[Made]"]]) -> None:
        try:
            found = await self._send([asked for asked, _ in some])
            for (_, future), made in zip(some, found, strict=True):
                if not future.done():
                    future.set_result(made)
        except BaseException as error:
            for _, future in some:
                if not future.done():
                    future.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            if not isinstance(error, Exception):
                raise
        finally:
            self._flying -= 1
            self._pump()
