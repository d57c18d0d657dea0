"""Cassandra's credentials, read from a folder as Kubernetes mounts a Secret, for each connection anew."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Any

from cassandra.auth import Authenticator, AuthProvider, PlainTextAuthenticator

from tickloom.mounted import Mounted
from tickloom.settings import settings

VARIABLE = "TICKLOOM_CASSANDRA_CREDENTIALS"
ANY_NAME = "*"


@dataclass(frozen=True)
class Credentials:
    """Who a client says it is, and how it knows the nodes.

    Parameters
    ----------
    folder
        Where they were read.
    username, password
        None where the folder holds neither: then only the connection is encrypted.
    tls
        Whether the connection is encrypted; then each node's certificate must be signed by the authority.
    authority
        PEM file of the nodes' certificate authority; None means those that the system trusts.
    certificate, key
        PEM files of the client's own certificate and its key, for nodes that ask for one.
    server_name
        Name that every node's certificate must bear, ``*`` for any; None means the host that is connected to.
    """

    folder: Path
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str | None = None

    def context(self) -> ssl.SSLContext:
        """Return what a connection is encrypted with.

        Raises
        ------
        ConfigurationError
            A file is no certificate or no key in PEM, or the key is not the certificate's.
        """
        mounted = Mounted(VARIABLE, self.folder)
        try:
            made = ssl.create_default_context(cafile=self.authority)
        except OSError as error:
            raise mounted.error(f"{self.authority} is no certificate in PEM: {_reason(error)}") from None
        made.check_hostname = self.server_name != ANY_NAME
        if self.certificate is not None:
            try:
                # the password keeps an encrypted key from being asked for on the terminal
                made.load_cert_chain(self.certificate, self.key, password="")
            except OSError as error:
                raise mounted.error(f"{self.certificate} and {self.key} do not fit: {_reason(error)}") from None
        return made


def read(folder: Path) -> Credentials:
    """Read the files ``username`` and ``password``, and those about TLS where they are there.

    These are ``ca.crt``, ``tls``, ``tls.crt``, ``tls.key`` and ``server-name``. With TLS, user name and password may
    both be absent.

    Raises
    ------
    ConfigurationError
        A file is missing, empty or not readable, or holds a value that is not known; no value of a secret is told.
    """
    mounted = Mounted(VARIABLE, folder)
    authority, certificate = mounted.file("ca.crt"), mounted.file("tls.crt")
    tls = mounted.choice("tls", ("on", "off"), "off" if authority is None and certificate is None else "on") == "on"
    named = mounted.file("username") or mounted.file("password") or not tls
    name = mounted.text("server-name", "") if mounted.file("server-name") else None
    key = None
    if certificate is not None and (key := mounted.file("tls.key")) is None:
        raise mounted.error(f"{folder / 'tls.key'} is missing; it goes with tls.crt")
    return Credentials(
        folder=folder,
        username=mounted.text("username") if named else None,
        password=mounted.text("password") if named else None,
        tls=tls,
        authority=authority,
        certificate=certificate,
        key=key,
        server_name=name,
    )


def mine() -> Credentials | None:
    """Return the credentials that the settings name, None where they name none; raises as ``read`` does."""
    folder = settings().cassandra_credentials
    return None if folder is None else read(folder)


def connection(host: str | None) -> dict[str, Any]:
    """Return the driver's options for showing who one is and for knowing the nodes.

    The files are read again for each connection that the driver makes, so a Secret that changes needs no restart.

    Parameters
    ----------
    host
        The one host of the contact points, whose name every node's certificate must bear where the folder has no
        ``server-name``; with None, each node's certificate must bear the address that is connected to.

    Raises
    ------
    ConfigurationError
        ``TICKLOOM_CASSANDRA_CREDENTIALS`` names a folder that ``read`` refuses, or certificates that do not fit.
    """
    found = mine()
    if found is None:
        return {}
    options: dict[str, Any] = {}
    if found.username is not None:
        options["auth_provider"] = _Login(found.folder)
    if found.tls:
        found.context()
        options["ssl_context"] = _Contexts(found.folder, host)
    return options


class _Login(AuthProvider):  # type: ignore[misc]
    """Says who one is, by the files as they are when a connection is made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def new_authenticator(self, host: Any) -> Authenticator:
        found = read(self._folder)
        return PlainTextAuthenticator(found.username or "", found.password or "")


class _Contexts:
    """Stands where the driver takes a TLS context, and makes one for each connection of the files as they are."""

    check_hostname = True  # so the driver says which host it connects to

    def __init__(self, folder: Path, host: str | None) -> None:
        self._folder, self._host = folder, host

    def wrap_socket(self, sock: socket, *, server_hostname: str, **options: Any) -> ssl.SSLSocket:
        found = read(self._folder)
        name = found.server_name if found.server_name not in (None, ANY_NAME) else self._host or server_hostname
        return found.context().wrap_socket(sock, server_hostname=name, **options)


def _reason(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or str(error)
