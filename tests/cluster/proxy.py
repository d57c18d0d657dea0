"""A way to the API server that can be cut: bytes go through as they are, so TLS does too."""

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import yaml


class Proxy:
    """Listens on this machine and passes every connection on.

    Parameters
    ----------
    host, port
        Where to.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = self._listen(0)
        self.port = int(self._listener.getsockname()[1])

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port), reuse_port=False)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def _pass_on(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._target, timeout=10)
        except OSError:
            near.close()
            return
        pair = (near, far)
        with self._lock:
            self._open.update(pair)
        with contextlib.suppress(OSError, ValueError):
            while True:
                for side in select.select(pair, (), ())[0]:
                    data = side.recv(65536)
                    if not data:
                        raise OSError
                    (far if side is near else near).sendall(data)
        for side in pair:
            side.close()
        with self._lock:
            self._open.difference_update(pair)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Refuse every connection, and end those that are open."""
        self.close()
        try:
            yield
        finally:
            self._listener = self._listen(self.port)

    def close(self) -> None:
        """Stop listening and end what is open."""
        with self._lock:
            items = (self._listener, *self._open)
        for item in items:
            with contextlib.suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @classmethod
    def to_cluster(cls, kubeconfig: str, copy: Path) -> "Proxy":
        """Return a way to the server of a kubeconfig, and write a copy of that file that goes this way."""
        document = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))
        context = next(it for it in document["contexts"] if it["name"] == document["current-context"])["context"]
        cluster = next(it for it in document["clusters"] if it["name"] == context["cluster"])["cluster"]
        address = urlsplit(cluster["server"])
        proxy = cls(str(address.hostname), address.port or 443)
        cluster.pop("certificate-authority-data", None)
        cluster.pop("certificate-authority", None)
        # the server's certificate does not name this machine
        cluster.update({"server": f"https://127.0.0.1:{proxy.port}", "insecure-skip-tls-verify": True})
        copy.write_text(yaml.safe_dump(document), encoding="utf-8")
        copy.chmod(0o600)
        return proxy
