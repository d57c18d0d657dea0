"""What a manifest leaves to the installation: addresses, topics, folders, jars."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tickloom.local.addresses import cassandra_address, kafka_address
from tickloom.settings import settings
from tickloom.stream.job import StreamJob

if TYPE_CHECKING:
    from tickloom.stream.app import Wiring


def wire(job: StreamJob, home: Path | None, job_folder: Path | None = None) -> "Wiring":
    """Find addresses and Java, make topics and tables, and return what the application needs.

    Raises
    ------
    TickloomError
        There is no Java 17, no stack runs, or Kafka or Cassandra does not answer.
    """
    from tickloom.bus.roles import ROLES
    from tickloom.bus.topics import ensure, topic_name
    from tickloom.local.jarsets import jars
    from tickloom.local.java import find_java
    from tickloom.market.instruments import instruments
    from tickloom.store.migrate import migrate
    from tickloom.stream.app import Wiring

    os.environ["JAVA_HOME"] = str(find_java().home)
    jobs = (home or settings().home).absolute() / "jobs"
    folder = job_folder or jobs / job.metadata.namespace / job.metadata.name
    folder.mkdir(parents=True, exist_ok=True)
    spec = job.spec
    kafka = spec.source.bootstrap_servers or kafka_address(home)
    cassandra = spec.sinks.cassandra.contact_points or cassandra_address(home)
    keyspace = spec.sinks.cassandra.keyspace or settings().keyspace
    own = spec.source.topic == "prices"
    ensure(kafka, [role for role in ROLES if own or role != "prices"])  # a topic with a name of its own is not ours
    migrate(cassandra, keyspace)
    topics = {role: topic_name(role) for role in ("bars", "anomalies", "dead-letters")}
    topics["prices"] = topic_name("prices") if own else spec.source.topic
    return Wiring(
        kafka=kafka,
        cassandra=cassandra,
        keyspace=keyspace,
        topics=topics,
        folder=folder,
        known=frozenset(instruments()),
        jars=tuple(jars("spark")),
    )
