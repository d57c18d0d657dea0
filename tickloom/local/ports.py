"""Free ports on 127.0.0.1: which one a process gets and who has it otherwise."""

import random
import socket
from collections.abc import Iterable, Mapping

import psutil

from tickloom.errors import TickloomError
from tickloom.local.ivy import Progress

HOST = "127.0.0.1"
RANGE = range(20000, 30000)  # below the ports that Linux gives to outgoing connections, which come and go


def is_free(port: int) -> bool:
    """Say whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Say whether something accepts connections on 127.0.0.1:`port`."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def pick(taken: set[int]) -> int:
    """Return a free port outside `taken`, random so that two stacks that start at once hardly ever meet."""
    while True:
        port = random.choice(RANGE)  # noqa: S311
        if port not in taken and is_free(port):
            return port


def holder(port: int) -> str:
    """Say who listens on `port`, as far as this user may know."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.pid
            if listens and tuple(connection.laddr)[-1] == port:
                return f"pid {connection.pid} ({psutil.Process(connection.pid).name()})"
    except psutil.Error:
        pass
    return "another program"


def check(wanted: Mapping[str, int]) -> None:
    """Raise TickloomError if a port that the user named for a server cannot be had."""
    for part, port in wanted.items():
        if list(wanted.values()).count(port) > 1:
            raise TickloomError(f"port {port} cannot serve {' and '.join(wanted)} at once: name two ports")
        if not is_free(port):
            raise TickloomError(
                f"port {port} for {part} is taken by {holder(port)}: stop it, name another with --{part}-port, "
                "or leave the option out and a free one is found"
            )


def choose(ports: dict[str, int], names: Iterable[str], wanted: Mapping[str, int | None], say: Progress) -> None:
    """Fill `ports` with a port for each of `names`: the wanted, else the old if it is free, else a new one."""
    named = {port for port in wanted.values() if port}
    for name in names:
        old = ports.get(name)
        if (port := wanted.get(name)) is not None:
            ports[name] = port
        elif old is None:
            ports[name] = pick(named | set(ports.values()))
        elif old in named or not is_free(old):
            ports[name] = pick(named | set(ports.values()))
            say(f"port {old} of {name} is taken by {holder(old)}, so {ports[name]} is used from now on")
