"""What is said of an embedded stack that runs in part or not at all."""

import pytest

from tickloom.errors import TickloomError
from tickloom.local import stack
from tickloom.local.addresses import cassandra_address, kafka_address
from tickloom.local.stack import PartStatus


@pytest.fixture
def half(monkeypatch):
    """Let Kafka run, and Cassandra be dead."""
    parts = [
        PartStatus("kafka", "running", 1, "127.0.0.1:1", 1.0, 1.0, "", ""),
        PartStatus("cassandra", "stale pid", None, "127.0.0.1:2", None, None, "", "it ended"),
    ]
    monkeypatch.setattr(stack, "status", lambda _home: parts)


def test_the_dead_part_is_named(half, tmp_path):
    assert kafka_address(tmp_path) == "127.0.0.1:1"
    message = f"Cassandra does not run in {tmp_path}, only Kafka does; start it with `tickloom up`"
    with pytest.raises(TickloomError, match=message):
        cassandra_address(tmp_path)


def test_nothing_runs(tmp_path):
    with pytest.raises(TickloomError, match=r"nothing runs in .*; start it with `tickloom up`"):
        cassandra_address(tmp_path)
