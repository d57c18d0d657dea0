"""An end without a lost request: who is told to end answers on for a while, and says so.

Kubernetes tells a pod to end when it takes its address from the Service, and a connection that is kept alive knows of
neither. So a process that is told to end answers on, asks each client to close its connection, and ends once the others
have learnt that it goes. The inference process must outlast the one in front, and both are told at once.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Drain:
    """Whether this process was told to end.

    Attributes
    ----------
    begun : bool
    """

    def __init__(self) -> None:
        self.begun = False

    def put_off(self, seconds: float) -> None:
        """Have SIGTERM do so many seconds later what it would do now; called by the event loop's thread.

        A second SIGTERM does it at once.
        """
        loop, then = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
        if seconds <= 0 or not callable(then):
            return

        def told(number: int, frame: Any) -> None:
            if self.begun:
                then(number, frame)
            else:
                self.begun = True
                loop.call_soon_threadsafe(loop.call_later, seconds, then, number, None)

        signal.signal(signal.SIGTERM, told)


class Closing:
    """ASGI middleware that asks clients to close their connections once the process was told to end."""

    def __init__(self, app: App, drain: Drain) -> None:
        self._app, self._drain = app, drain

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or not self._drain.begun:
            await self._app(scope, receive, send)
            return

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, closing)
