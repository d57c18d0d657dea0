"""Free ports on 127.0.0.1: which one a process gets and who has it otherwise."""

import random
import socket

import psutil

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
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"pid {connection.pid} ({psutil.Process(connection.pid).name()})"
    except psutil.Error:
        pass
    return "another program"
