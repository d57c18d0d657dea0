"""A real Kafka and a real Cassandra: up, used, killed, up again, down, up again."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import RoundRobinPolicy
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tickloom.errors import TickloomError
from tickloom.local import cassandra, kafka, process
from tickloom.local.stack import Endpoints, down, endpoints, status, up

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home whose name needs quoting everywhere, emptied of processes at the end."""
    folder = tmp_path_factory.mktemp("stack é سوق") / "home"
    yield folder
    down(folder)


@pytest.fixture
def running(home) -> Endpoints:
    return up(home)


def produce(at: Endpoints, topic: str, value: bytes) -> None:
    admin = AdminClient({"bootstrap.servers": at.kafka})
    if topic not in admin.list_topics(timeout=10).topics:
        config = {"max.message.bytes": str(5 << 20)}
        admin.create_topics([NewTopic(topic, 1, 1, config=config)])[topic].result(30)
    producer = Producer({"bootstrap.servers": at.kafka, "message.max.bytes": 5 << 20, "acks": "all"})
    failed = []
    producer.produce(topic, value, on_delivery=lambda error, _message: error and failed.append(error))
    assert producer.flush(30) == 0
    assert not failed


def consume(at: Endpoints, topic: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": at.kafka, "group.id": "test", "fetch.message.max.bytes": 5 << 20})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        return [message.value() for message in consumer.consume(count, 30)]
    finally:
        consumer.close()


def query(at: Endpoints, *statements: str):
    host, port = at.cassandra.split(":")
    profiles = {EXEC_PROFILE_DEFAULT: ExecutionProfile(RoundRobinPolicy())}
    cluster = Cluster([host], port=int(port), protocol_version=5, execution_profiles=profiles)
    try:
        session = cluster.connect()
        return [list(session.execute(statement, timeout=30)) for statement in statements][-1]
    finally:
        cluster.shutdown()


def write(at: Endpoints, number: int) -> None:
    query(
        at,
        "CREATE KEYSPACE IF NOT EXISTS t WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
        "CREATE TABLE IF NOT EXISTS t.t (k int PRIMARY KEY)",
        f"INSERT INTO t.t (k) VALUES ({number})",
    )


def rows(at: Endpoints) -> set[int]:
    return {row.k for row in query(at, "SELECT k FROM t.t")}


def pids(home: Path) -> list[int]:
    return [part.pid for part in status(home)]


def kill(home: Path, *victims: int) -> None:
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    while set(victims) & set(pids(home)):
        time.sleep(0.05)


def test_it_starts_and_says_where(home):
    found = up(home)
    assert endpoints(home) == found
    assert [part.condition for part in status(home)] == ["running", "running"]


def test_everything_listens_on_the_loopback_alone(home, running):
    addresses = {
        connection.laddr.ip
        for pid in pids(home)
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {address.removeprefix("::ffff:") for address in addresses} == {"127.0.0.1"}


def test_up_again_is_harmless(home, running):
    before = pids(home)

    assert up(home) == running
    assert pids(home) == before


def test_another_port_than_the_running_one_is_refused(home, running):
    with pytest.raises(TickloomError, match=r"kafka of .* runs on port \d+ already, not on 1: `tickloom down"):
        up(home, kafka_port=1)


def test_reset_is_refused_while_it_runs(home, running):
    with pytest.raises(TickloomError, match="still runs: `tickloom down"):
        up(home, reset=True)


def test_down_and_up_keep_data_and_addresses(home, running):
    produce(running, "kept", b"one")
    write(running, 1)

    assert down(home) == ["kafka", "cassandra"]
    assert down(home) == []
    assert endpoints(home) is None

    again = up(home)
    assert again == running
    assert consume(again, "kept", 1) == [b"one"]
    assert 1 in rows(again)


def test_a_message_of_4_mib_passes(running):
    value = os.urandom(4 << 20)
    produce(running, "large", value)

    assert consume(running, "large", 1) == [value]


def test_both_killed_recover_with_their_data(home, running):
    produce(running, "killed", b"two")
    write(running, 2)
    time.sleep(1.5)  # Cassandra's commit log is synced once a second
    kill(home, *pids(home))
    assert [part.condition for part in status(home)] == ["stale pid", "stale pid"]
    assert all("without `tickloom down`" in part.explanation for part in status(home))

    said: list[str] = []
    again = up(home, progress=said.append)

    assert any("its data is recovered now" in text for text in said)
    assert again == running
    assert consume(again, "killed", 1) == [b"two"]
    assert 2 in rows(again)


def test_one_killed_is_started_alone(home, running):
    kafka_pid, cassandra_pid = pids(home)
    kill(home, kafka_pid)

    assert up(home) == running
    assert pids(home)[1] == cassandra_pid


def test_a_remembered_port_that_was_taken_is_replaced(home, running):
    produce(running, "moved", b"three")
    down(home)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", int(running.kafka.split(":")[1])))
        other.listen()
        said: list[str] = []
        moved = up(home, progress=said.append)

    assert moved.kafka != running.kafka
    assert moved.cassandra == running.cassandra
    assert any("is taken by pid" in text for text in said)
    assert consume(moved, "moved", 1) == [b"three"]


def test_two_at_once_start_it_once(home, running):
    down(home)
    command = [sys.executable, "-m", "tickloom.cli.main", "up", "--home", str(home), "--json"]
    starts = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(2)]
    found = [json.loads(start.communicate(timeout=120)[0]) for start in starts]

    assert [start.returncode for start in starts] == [0, 0]
    assert found[0]["kafka"] == found[1]["kafka"]
    marks = {process.marker(home, part) for part in ("kafka", "cassandra")}
    ours = [it for it in psutil.process_iter(["cmdline"]) if marks & set(it.info["cmdline"] or ())]
    assert len(ours) == 2


def test_an_interrupted_up_stops_what_it_started_and_the_next_one_works(home, running):
    down(home)
    command = [sys.executable, "-m", "tickloom.cli.main", "up", "--home", str(home)]
    start = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not any(process.find(home, part).process for part in ("kafka", "cassandra")):
        time.sleep(0.05)
    start.send_signal(signal.SIGTERM)

    assert start.wait(60) != 0
    assert [part.condition for part in status(home)] == ["stopped", "stopped"]
    assert rows(up(home)) >= {1, 2}


def test_a_server_that_a_signal_meets_while_it_is_started_is_stopped_too(home, running, monkeypatch):
    down(home)
    spawn = process.spawn

    def interrupted(*of):
        child = spawn(*of)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)  # the signal is dealt with before the child is known
        return child

    monkeypatch.setattr(process, "spawn", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores SIGINT
    try:
        with pytest.raises(KeyboardInterrupt):
            up(home)
    finally:
        signal.signal(signal.SIGINT, before)

    assert [part.condition for part in status(home)] == ["stopped", "stopped"]


def test_a_broker_that_cannot_start_says_why_and_leaves_nothing_running(home, running):
    down(home)
    with pytest.MonkeyPatch.context() as patch:
        settings_of = kafka.settings_of
        patch.setattr(kafka, "settings_of", lambda *of: settings_of(*of) | {"num.io.threads": "none"})
        with pytest.raises(TickloomError, match=r"kafka ended while it started.*num\.io\.threads.*kafka\.log"):
            up(home)
    assert endpoints(home) is None
    assert [part.condition for part in status(home)] == ["stopped", "stopped"]


def test_a_first_start_that_was_killed_is_made_anew(tmp_path):
    try:
        command = [sys.executable, "-m", "tickloom.cli.main", "up", "--home", str(tmp_path)]
        start = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not (cassandra.folder(tmp_path) / "tables" / "system").exists():
            time.sleep(0.05)
        start.kill()
        start.wait()
        for part in ("kafka", "cassandra"):
            if it := process.find(tmp_path, part).process:
                it.kill()
                while process.alive(it):
                    time.sleep(0.05)
        said: list[str] = []
        up(tmp_path, progress=said.append)
        assert any("first start was cut off" in text for text in said)
    finally:
        down(tmp_path)


def test_reset_moves_the_old_data_aside(home):
    down(home)
    fresh = up(home, reset=True)

    assert not query(fresh, "SELECT keyspace_name FROM system_schema.tables WHERE keyspace_name = 't'")
    (aside,) = home.glob("old-*")
    assert (aside / "kafka" / "data" / "meta.properties").exists()
    assert (aside / "cassandra" / "data" / "tables" / "t").is_dir()
