"""Kafka's credentials, read from a folder as Kubernetes mounts a Secret, in the words of both clients."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tickloom.mounted import Mounted
from tickloom.settings import settings

VARIABLE = "TICKLOOM_KAFKA_CREDENTIALS"
JAAS = "sasl.jaas.config"
"""Key under which Strimzi puts a user's login into its Secret; the user's name stands nowhere else in it."""

PROTOCOLS = ("SASL_SSL", "SASL_PLAINTEXT")
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
MECHANISMS = {"SCRAM-SHA-512": _SCRAM, "SCRAM-SHA-256": _SCRAM, "PLAIN": _PLAIN}
"""Each mechanism with the Java class that logs in by it."""


@dataclass(frozen=True)
class Credentials:
    """Who a client says it is, and how it knows the brokers.

    Parameters
    ----------
    protocol
        One of ``PROTOCOLS``.
    mechanism
        One of ``MECHANISMS``.
    authority
        PEM file of the brokers' certificate authority; None means those that the system trusts.
    """

    username: str
    password: str = field(repr=False)
    protocol: str = PROTOCOLS[0]
    mechanism: str = "SCRAM-SHA-512"
    authority: Path | None = None

    def librdkafka(self) -> dict[str, str]:
        """Return the options of confluent-kafka's clients."""
        options = {
            "security.protocol": self.protocol,
            "sasl.mechanism": self.mechanism,
            "sasl.username": self.username,
            "sasl.password": self.password,
        }
        return options if self.authority is None else options | {"ssl.ca.location": str(self.authority)}

    def java(self) -> dict[str, str]:
        """Return the options of Kafka's Java client."""
        login = f"username={_quoted(self.username)} password={_quoted(self.password)}"
        options = {
            "security.protocol": self.protocol,
            "sasl.mechanism": self.mechanism,
            "sasl.jaas.config": f"{MECHANISMS[self.mechanism]} required {login};",
        }
        if self.authority is None:
            return options
        return options | {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(self.authority)}


def read(folder: Path) -> Credentials:
    """Read the files ``password`` and ``username`` and, where they are there, ``protocol``, ``mechanism``, ``ca.crt``.

    Where there is no ``username``, the one in ``sasl.jaas.config`` counts: so a Strimzi KafkaUser's Secret will do.
    A line break at the end of a file is not part of its value.

    Raises
    ------
    ConfigurationError
        A file is missing, empty or not readable, or holds a value that is not known; no value of a secret is told.
    """
    mounted = Mounted(VARIABLE, folder)
    return Credentials(
        username=_username(mounted),
        password=mounted.text("password"),
        protocol=mounted.choice("protocol", PROTOCOLS, PROTOCOLS[0]),
        mechanism=mounted.choice("mechanism", tuple(MECHANISMS), "SCRAM-SHA-512"),
        authority=mounted.file("ca.crt"),
    )


def _username(mounted: Mounted) -> str:
    if mounted.file("username") is not None or mounted.file(JAAS) is None:
        return mounted.text("username")
    found = re.search(r'\busername="((?:[^"\\]|\\.)*)"', mounted.text(JAAS))
    if found is None:
        raise mounted.error(f"{mounted.folder / JAAS} names no username; add a file username")
    return re.sub(r"\\(.)", r"\1", found[1])


def connection(bootstrap: str) -> dict[str, Any]:
    """Return librdkafka's options for reaching Kafka: where, as whom, and without a log of its own.

    Raises
    ------
    ConfigurationError
        ``TICKLOOM_KAFKA_CREDENTIALS`` names a folder that ``read`` refuses.
    """
    mine = _mine()
    return {"bootstrap.servers": bootstrap, "log_level": 0, **(mine.librdkafka() if mine else {})}


def spark_options(bootstrap: str) -> dict[str, str]:
    """Return the options of Spark's Kafka source for reaching Kafka; raises as ``connection`` does."""
    mine = _mine()
    options = {"bootstrap.servers": bootstrap, **(mine.java() if mine else {})}
    return {f"kafka.{name}": value for name, value in options.items()}


def _mine() -> Credentials | None:
    folder = settings().kafka_credentials
    return None if folder is None else read(folder)


def _quoted(text: str) -> str:
    """Return a value as JAAS reads it: in double quotes, with Java's escapes (``java.io.StreamTokenizer``)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
