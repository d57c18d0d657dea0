"""A single Kafka node, broker and controller in one: its settings, its format, its command, its readiness."""

import base64
import re
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

from tickloom.errors import TickloomError
from tickloom.files import write_whole
from tickloom.local.failure import meaningful
from tickloom.local.java import Java
from tickloom.local.ports import HOST, answers
from tickloom.local.process import environment, marker
from tickloom.local.state import State

PORTS = ("kafka", "kafka_controller")
HEAP = ["-Xms512m", "-Xmx512m", "-XX:MaxDirectMemorySize=128m", "-XX:MaxMetaspaceSize=160m", "-Xss512k"]
COLLECTOR = ["-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35"]
LOG4J = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="WARN">
  <Appenders>
    <RollingFile name="file" fileName="{log}" filePattern="{log}.%i">
      <PatternLayout pattern="[%d] %p %m (%c)%n"/>
      <SizeBasedTriggeringPolicy size="10MB"/>
      <DefaultRolloverStrategy max="3"/>
    </RollingFile>
  </Appenders>
  <Loggers><Root level="INFO"><AppenderRef ref="file"/></Root></Loggers>
</Configuration>
"""


def data_folder(home: Path) -> Path:
    """Return the folder of the broker's logs."""
    return home / "kafka" / "data"


def settings_of(home: Path, ports: dict[str, int]) -> dict[str, str]:
    """Return the broker's settings."""
    broker, controller = (ports[name] for name in PORTS)
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{HOST}:{broker},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{broker}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data_folder(home)),
        "auto.create.topics.enable": "false",
        "num.partitions": "3",
        "default.replication.factor": "1",
        "min.insync.replicas": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "10",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "10",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "5",
        "group.initial.rebalance.delay.ms": "0",
        "message.max.bytes": str(6 << 20),
        "replica.fetch.max.bytes": str(6 << 20),
        "socket.send.buffer.bytes": str(1 << 20),
        "socket.receive.buffer.bytes": str(1 << 20),
        "num.network.threads": "2",
        "num.io.threads": "4",
        "num.recovery.threads.per.data.dir": "2",
        "log.cleaner.dedupe.buffer.size": str(16 << 20),
        "controlled.shutdown.enable": "true",
    }


def prepare(home: Path, java: Java, jars: list[Path], state: State) -> None:
    """Write the settings and, the first time, format the data folder; sets `state.kafka_cluster_id`.

    Raises
    ------
    TickloomError
        The folder was made half, or belongs to another cluster.
    """
    write_whole(home / "kafka" / "log4j2.xml", LOG4J.format(log=home / "logs" / "kafka.log"))
    properties = home / "kafka" / "server.properties"
    _write_properties(properties, settings_of(home, state.ports))
    found = inspect(home, state.kafka_cluster_id)
    if found is not None:
        state.kafka_cluster_id = found
        return
    state.kafka_cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
    _format(home, java, jars, state)


def inspect(home: Path, cluster_id: str | None) -> str | None:
    """Return the cluster id of the data folder, None where it has yet to be formatted.

    Raises
    ------
    TickloomError
        The folder holds something without a whole ``meta.properties``, or that of another cluster.
    """
    folder = data_folder(home)
    if not folder.exists() or not any(folder.iterdir()):
        return None
    reset = f"`tickloom up --reset --home {home}` moves all data aside and starts anew"
    try:
        text = (folder / "meta.properties").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = re.search(r"^cluster\.id=(\S+)$", text, re.MULTILINE)
    if not found or not re.search(r"^node\.id=1$", text, re.MULTILINE):
        raise TickloomError(
            f"Kafka's data folder {folder} has no whole meta.properties, so it was made half or damaged: "
            f"put the file back, or {reset}"
        )
    if cluster_id and found.group(1) != cluster_id:
        raise TickloomError(
            f"Kafka's data folder {folder} belongs to cluster {found.group(1)}, but {home / 'state.json'} says "
            f"{cluster_id}: put back the folder that belongs here, or {reset}"
        )
    return found.group(1)


def _format(home: Path, java: Java, jars: list[Path], state: State) -> None:
    """Format in a folder beside and rename it, so that an interruption leaves nothing half-made behind."""
    part = home / "kafka" / "formatting"
    shutil.rmtree(part, ignore_errors=True)
    properties = home / "kafka" / "format.properties"
    _write_properties(properties, settings_of(home, state.ports) | {"log.dirs": str(part)})
    command = [
        str(java.path), "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", ":".join(map(str, jars)), "-Dlog4j2.level=OFF",
        "kafka.tools.StorageTool", "format", "-t", str(state.kafka_cluster_id), "-c", str(properties),
    ]  # fmt: skip
    said = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=environment()
    )
    if said.returncode:
        why = meaningful((said.stdout + said.stderr).splitlines())
        raise TickloomError(f"Kafka's data folder {data_folder(home)} could not be formatted: {why}")
    if data_folder(home).exists():
        data_folder(home).rmdir()
    part.rename(data_folder(home))


def command(home: Path, java: Java, jars: list[Path]) -> list[str]:
    """Return the broker's command line."""
    return [
        str(java.path), *HEAP, *COLLECTOR, marker(home, "kafka"),
        "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData", "-Djava.awt.headless=true",
        f"-Djava.io.tmpdir={home / 'tmp'}",
        f"-Dlog4j2.configurationFile={home / 'kafka' / 'log4j2.xml'}",
        "-cp", ":".join(map(str, jars)), "kafka.Kafka", str(home / "kafka" / "server.properties"),
    ]  # fmt: skip


def ready(state: State) -> bool:
    """Say whether the broker answers a metadata request, as the cluster that was started."""
    if not answers(state.ports["kafka"]):
        return False
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    quiet: dict[str, Any] = {"log_level": 0, "error_cb": lambda _error: None}
    client = AdminClient({"bootstrap.servers": f"{HOST}:{state.ports['kafka']}", **quiet})
    try:
        metadata = client.list_topics(timeout=5)
    except KafkaException:
        return False
    return bool(metadata.brokers) and metadata.cluster_id == state.kafka_cluster_id


def _write_properties(path: Path, settings: dict[str, str]) -> None:
    """Write a properties file, which Java reads as Latin-1 with escapes of its own."""
    text = "".join(f"{name}={value}\n" for name, value in settings.items()).replace("\\", "\\\\")
    units = text.encode("utf-16-be")
    codes = [int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2)]
    write_whole(path, "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes))
