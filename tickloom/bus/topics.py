"""The topics: their names, settings and creation, and the partition that a key belongs to."""

import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._metadata import TopicMetadata
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from tickloom.bus.credentials import connection
from tickloom.bus.roles import ROLES, Role
from tickloom.errors import ConfigurationError, TickloomError
from tickloom.settings import settings

log = structlog.get_logger(__name__)

PARTITIONS = 3
_AGAIN_S = 0.2
_SEEN_WITHIN_S = 5.0


def topic_name(role: str) -> str:
    """Return the name that the installation gives the topic of a role, for example ``morocco-prices``."""
    if role not in ROLES:
        raise TickloomError(f"topic {role!r} is unknown; known: {', '.join(ROLES)}")
    return settings().topic_prefix + role


def ensure(bootstrap: str, roles: Iterable[str] = ROLES, *, timeout_s: float = 30.0) -> list[str]:
    """Create the topics that are absent and return their names; topics that exist are never altered.

    A topic that exists with other settings is left as it is, and a warning names each difference.

    Raises
    ------
    TickloomError
        The broker does not answer or refuses to create a topic.
    """
    wanted = {topic_name(role): ROLES[role] for role in roles}
    return create(bootstrap, wanted, timeout_s=timeout_s)


def create(bootstrap: str, wanted: dict[str, Role], *, timeout_s: float = 30.0) -> list[str]:
    """Create the topics of ``wanted`` (name to role) that are absent and return their names."""
    admin, found = look(bootstrap, timeout_s)
    replication = settings().replication
    absent = {name: role for name, role in wanted.items() if name not in found}
    made = _create(admin, bootstrap, absent, replication, timeout_s)
    _compare(admin, {name: role for name, role in wanted.items() if name not in made}, replication, timeout_s)
    return made


def look(bootstrap: str, timeout_s: float) -> tuple[AdminClient, dict[str, TopicMetadata]]:
    """Return an admin client and the topics that it sees, by name.

    Raises
    ------
    TickloomError
        The broker does not answer.
    ConfigurationError
        It refuses the credentials, or they cannot be read.
    """
    said: list[KafkaError] = []
    options: dict[str, Any] = {**connection(bootstrap), "error_cb": said.append}
    admin = AdminClient(options)
    try:
        return admin, admin.list_topics(timeout=timeout_s).topics
    except KafkaException as error:
        admin.poll(0)
        refused = [item.str() for item in said if item.code() == KafkaError._AUTHENTICATION]
        if refused:
            raise ConfigurationError(
                f"Kafka at {bootstrap} refuses the credentials of TICKLOOM_KAFKA_CREDENTIALS "
                f"{str(settings().kafka_credentials)!r}: {refused[-1]}"
            ) from None
        raise away(bootstrap, error) from None


def _create(
    admin: AdminClient, bootstrap: str, absent: dict[str, Role], replication: int, timeout_s: float
) -> list[str]:
    if not absent:
        return []
    new = [NewTopic(name, PARTITIONS, replication, config=role.config(replication)) for name, role in absent.items()]
    made = []
    for name, future in admin.create_topics(new, operation_timeout=timeout_s, request_timeout=timeout_s).items():
        try:
            future.result(timeout_s)
            made.append(name)
        except KafkaException as error:
            # Another process may create the same topics at the same time.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise TickloomError(
                    f"topic {name!r} could not be created at {bootstrap}: {error.args[0].str()}"
                ) from None
    return made


def _compare(admin: AdminClient, there: dict[str, Role], replication: int, timeout_s: float) -> None:
    """Warn of each difference between the topics and what this version would make."""
    if not there:
        return
    described = _described(admin, there, timeout_s)
    there = {name: role for name, role in there.items() if name in described}
    if not there:
        return
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in there]
    try:
        configs = _configs(admin, resources, timeout_s)
    except KafkaException as error:
        log.info("settings of topics cannot be read and are not compared", reason=error.args[0].str())
        return
    for name, role in there.items():
        wanted = {"partitions": str(PARTITIONS), "replication": str(replication), **role.config(replication)}
        partitions = described[name].partitions
        actual = {
            "partitions": str(len(partitions)),
            "replication": str(len(partitions[0].replicas)) if 0 in partitions else "",
            **{key: entry.value for key, entry in configs[name].items()},
        }
        different = {
            key: f"{actual.get(key)}, not {value}" for key, value in wanted.items() if actual.get(key) != value
        }
        if different:
            log.warning("topic exists with other settings and is left as it is", topic=name, **different)


def _described(admin: AdminClient, names: Iterable[str], timeout_s: float) -> dict[str, TopicMetadata]:
    """Return what the broker tells of topics, by name; those that another process has just made may take a moment."""
    end = time.monotonic() + min(timeout_s, _SEEN_WITHIN_S)
    while True:
        described = admin.list_topics(timeout=timeout_s).topics
        unseen = sorted(set(names) - set(described))
        if not unseen:
            return described
        if time.monotonic() > end:
            log.info("topics exist but are not described yet and are not compared", topics=unseen)
            return described
        time.sleep(_AGAIN_S)


def _configs(admin: AdminClient, resources: list[ConfigResource], timeout_s: float) -> dict[str, dict[str, Any]]:
    """Return the settings of topics by name; a broker that has not heard of a new topic yet is asked again."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            return {
                resource.name: future.result(timeout_s)
                for resource, future in admin.describe_configs(resources, request_timeout=timeout_s).items()
            }
        except KafkaException as error:
            unknown = error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
            if not (unknown or error.args[0].retriable()) or time.monotonic() > end:
                raise
        time.sleep(_AGAIN_S)


def away(bootstrap: str, error: KafkaException) -> TickloomError:
    """Return the error that says that the broker does not answer."""
    return TickloomError(f"Kafka at {bootstrap} does not answer: {error.args[0].str()}; is it up? (`tickloom status`)")


@lru_cache(maxsize=65_536)
def partition_for(key: bytes, partitions: int) -> int:
    """Return the partition that a keyed record goes to.

    This is Kafka's own rule, ``toPositive(murmur2(key)) % partitions`` of ``BuiltInPartitioner``, which librdkafka
    calls ``murmur2_random``: whoever produces by it agrees on where a ticker is.
    """
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """Return the 32-bit murmur2 hash, unsigned, with the seed that Kafka uses."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ (k >> 24)) * m & mask
        h = (h * m & mask) ^ k
    if tail := data[whole:]:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ (h >> 13)) * m & mask
    return h ^ (h >> 15)
