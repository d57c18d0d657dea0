"""What a home may look like before a start: ports, disk, whole and half-written data."""

import shutil
import socket
import threading
from collections import namedtuple

import pytest

from tickloom.errors import TickloomError
from tickloom.local import cassandra, failure, kafka, launch, ports, state
from tickloom.local.stack import endpoints, status, up
from tickloom.local.state import State

CLUSTER = "5L6g3nShT-eMCtK--X86sw"


@pytest.fixture
def taken():
    """A port that another program listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_ports_are_remembered(tmp_path):
    chosen = State()
    ports.choose(chosen.ports, kafka.PORTS, {}, print)
    state.save(tmp_path, chosen)

    again = state.load(tmp_path)
    ports.choose(again.ports, kafka.PORTS, {}, print)

    assert again.ports == chosen.ports
    assert len(set(again.ports.values())) == len(kafka.PORTS)


def test_a_remembered_port_that_is_taken_is_replaced_and_explained(taken):
    said = []
    chosen = {"kafka": taken}
    ports.choose(chosen, ["kafka"], {}, said.append)

    assert chosen["kafka"] != taken
    assert f"port {taken} of kafka is taken by pid" in said[0]
    assert f"{chosen['kafka']} is used from now on" in said[0]


def test_a_wanted_port_drives_out_a_remembered_one():
    chosen = {"kafka": 20001, "kafka_controller": 20002}
    ports.choose(chosen, kafka.PORTS, {"kafka": 20002}, lambda _text: None)

    assert chosen["kafka"] == 20002
    assert chosen["kafka_controller"] != 20002


def test_a_wanted_port_that_is_taken_is_refused(tmp_path, taken):
    with pytest.raises(TickloomError, match=rf"port {taken} for kafka is taken by .* name another with --kafka-port"):
        up(tmp_path, kafka_port=taken)


def test_one_port_for_both_is_refused(tmp_path):
    with pytest.raises(TickloomError, match="port 20003 cannot serve kafka and cassandra at once"):
        up(tmp_path, kafka_port=20003, cassandra_port=20003)


def test_a_damaged_state_file_is_explained(tmp_path):
    (tmp_path / state.FILE).write_text("{")
    with pytest.raises(TickloomError, match=r"state\.json cannot be read .* remove it"):
        status(tmp_path)


def test_nothing_of_a_home_that_is_not_there_runs(tmp_path):
    assert endpoints(tmp_path / "none") is None
    assert [part.condition for part in status(tmp_path / "none")] == ["stopped", "stopped"]
    assert not (tmp_path / "none").exists()


def test_a_home_that_cannot_be_written_is_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TickloomError, match=r"home .* cannot be written .* --home"):
        up(tmp_path / "file")


def test_a_home_that_kafka_cannot_take_is_refused(tmp_path):
    with pytest.raises(TickloomError, match="has ',' in its name"):
        up(tmp_path / "a,b")


def test_a_full_disk_is_refused(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10**12, 10**12, 10**8))
    with pytest.raises(TickloomError, match=r"has 0\.1 GB free, and the stack needs 2 GB: free some"):
        launch.check_disk(tmp_path)


def test_two_do_not_work_on_one_home_at_once(tmp_path):
    said, entered = [], threading.Event()

    def second():
        with state.alone(tmp_path, said.append):
            entered.set()

    with state.alone(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.3)
    thread.join(5)
    assert entered.is_set()
    assert "waiting for another tickloom" in said[0]


def meta(home, text):
    kafka.data_folder(home).mkdir(parents=True)
    (kafka.data_folder(home) / "meta.properties").write_text(text)


def test_a_kafka_folder_is_recognised(tmp_path):
    assert kafka.inspect(tmp_path, None) is None
    meta(tmp_path, f"version=1\ncluster.id={CLUSTER}\nnode.id=1\n")
    assert kafka.inspect(tmp_path, CLUSTER) == CLUSTER
    assert kafka.inspect(tmp_path, None) == CLUSTER


@pytest.mark.parametrize("text", ["", "version=1\n", "cluster.id=\nnode.id=1\n", f"cluster.id={CLUSTER}\n"])
def test_a_half_written_kafka_folder_is_explained(tmp_path, text):
    meta(tmp_path, text)
    with pytest.raises(TickloomError, match=r"no whole meta\.properties.*tickloom up --reset"):
        kafka.inspect(tmp_path, CLUSTER)


def test_a_kafka_folder_of_another_cluster_is_explained(tmp_path):
    meta(tmp_path, "cluster.id=another\nnode.id=1\n")
    with pytest.raises(TickloomError, match=rf"belongs to cluster another, but .*{CLUSTER}.*--reset"):
        kafka.inspect(tmp_path, CLUSTER)


def tables(home, *keyspaces):
    for keyspace in keyspaces:
        (cassandra.folder(home) / "tables" / keyspace).mkdir(parents=True)


def test_a_first_start_of_cassandra_that_was_cut_off_is_moved_aside(tmp_path):
    cassandra.prepare(tmp_path, dict.fromkeys(cassandra.PORTS, 1))
    tables(tmp_path, "system")

    done = cassandra.prepare(tmp_path, dict.fromkeys(cassandra.PORTS, 1))

    assert "first start was cut off" in done
    assert not (cassandra.folder(tmp_path) / "tables").exists()
    assert (tmp_path / "cut-off" / "tables" / "system").is_dir()


@pytest.mark.parametrize("answered", [True, False])
def test_cassandra_data_in_use_stays(tmp_path, answered):
    cassandra.prepare(tmp_path, dict.fromkeys(cassandra.PORTS, 1))
    if answered:
        cassandra.answered(tmp_path)
    tables(tmp_path, "system", "system_schema", "tickloom")

    assert cassandra.prepare(tmp_path, dict.fromkeys(cassandra.PORTS, 1)) is None
    assert (cassandra.folder(tmp_path) / "tables" / "tickloom").is_dir()


def test_cassandra_data_without_its_own_tables_is_explained(tmp_path):
    tables(tmp_path, "tickloom")
    with pytest.raises(TickloomError, match=r"holds tickloom but not the node's own tables.*--reset"):
        cassandra.settle(tmp_path)


def test_settings_outside_of_latin_reach_java(tmp_path):
    kafka._write_properties(tmp_path / "p", {"log.dirs": "/tmp/سوق/€\\x😀"})
    assert (tmp_path / "p").read_text() == "log.dirs=/tmp/\\u0633\\u0648\\u0642/\\u20ac\\\\x\\ud83d\\ude00\n"


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("ERROR java.io.IOException: No space left on device", 1, "is full: free 2 GB"),
        ("Caused by: java.io.IOException: Insufficient disk space to write 505 bytes", 1, "is full: free 2 GB"),
        ("ERROR java.lang.OutOfMemoryError: Java heap space", 3, "memory ran out"),
        ("java.net.BindException: Address already in use", 1, "was taken in the meantime"),
        ("ERROR Corrupt index found", 1, "its data is damaged: .*--reset"),
        ("INFO starting", -9, "killed by signal 9 .*memory ran out"),
        ("INFO starting", 1, "read the log"),
    ],
)
def test_a_failed_start_is_explained_by_its_log(tmp_path, line, status, said):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "kafka.log").write_text(
        f"[1] INFO -XX:+ExitOnOutOfMemoryError corrupted_x=y\n{line}\n\tat org.example.Tool.main(Tool.java:1)\n"
    )

    error = failure.explain(tmp_path, "kafka", State(ports={"kafka": 1}), status)

    with pytest.raises(TickloomError, match=said):
        raise error
    assert line in str(error)
    assert str(tmp_path / "logs" / "kafka.log") in str(error)


def test_a_silent_server_is_named(tmp_path):
    error = failure.explain(tmp_path, "cassandra", State(), None, waited_s=120)
    assert "cassandra did not answer within 120 s" in str(error)
