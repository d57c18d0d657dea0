"""An end without a lost request: who is told to end answers on for a while, and says so.

Kubernetes tells a pod to end when it takes its address from the Service, and a connection that is kept alive knows of
neither. So a service that is told to end answers on, asks each client to close its connection, and ends once the others
have learnt that it goes. BentoML's processes would lose sight of each other as soon as the first is told, so a process
around them takes SIGTERM, tells them by SIGUSR1 that the end is near, and hands SIGTERM on when the time is over.
"""

import signal
import subprocess
import threading
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
NEAR = signal.SIGUSR1


class Drain:
    """Whether this process was told that its end is near.

    Attributes
    ----------
    begun : bool
    """

    def __init__(self) -> None:
        self.begun = False

    def listen(self) -> None:
        """Listen for it; called by the main thread."""
        signal.signal(NEAR, self._told)

    def _told(self, number: int, frame: Any) -> None:
        self.begun = True


class Closing:
    """ASGI middleware that asks clients to close their connections once the end is near."""

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


def run(command: Sequence[str], seconds: float) -> int:
    """Run a service until it ends, and return its exit status.

    SIGTERM reaches it so many seconds later, and those of its processes that listen are told at once; a second SIGTERM
    reaches it at once.
    """
    child = subprocess.Popen(command)
    last = threading.Timer(seconds, child.terminate)
    last.daemon = True
    told = False

    def end(number: int, frame: Any) -> None:
        nonlocal told
        if told:
            child.terminate()
        else:
            told = True
            last.start()
            _tell(child.pid)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, lambda *_: None)  # a terminal tells all of its processes
    status = child.wait()
    last.cancel()
    return 128 - status if status < 0 else status


def _tell(root: int) -> None:
    parent = psutil.Process(root)
    for it in (parent, *parent.children(recursive=True)):
        with suppress(OSError, psutil.NoSuchProcess):  # it has just ended
            if _listens(it.pid):  # who does not would die of it
                it.send_signal(NEAR)


def _listens(process: int) -> bool:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        name, _, mask = line.partition(":")
        if name == "SigCgt":
            return bool(int(mask, 16) >> (NEAR - 1) & 1)
    return False
