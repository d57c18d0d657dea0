from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException
from structlog.testing import capture_logs

from tickloom.bus import topics
from tickloom.bus.roles import ROLES
from tickloom.bus.topics import murmur2, partition_for, topic_name
from tickloom.errors import TickloomError


@pytest.mark.parametrize(
    ("key", "signed"),
    [  # the vectors of Kafka's own UtilsTest.testMurmur2
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(key, signed):
    assert murmur2(key) == signed & 0xFFFFFFFF
    assert partition_for(key, 3) == (signed & 0x7FFFFFFF) % 3


def test_an_empty_key_has_a_partition():
    assert partition_for(b"", 3) in range(3)


def test_an_unknown_topic_is_named_with_the_known_ones():
    with pytest.raises(TickloomError, match="'price' is unknown; known: prices, news"):
        topic_name("price")


def test_dead_letters_take_records_larger_than_any_topic():
    largest = max(role.max_message_bytes for name, role in ROLES.items() if name != "dead-letters")
    assert ROLES["dead-letters"].max_message_bytes > largest


def test_two_replicas_must_be_in_sync_once_there_are_three():
    assert ROLES["prices"].config(1)["min.insync.replicas"] == "1"
    assert ROLES["prices"].config(3)["min.insync.replicas"] == "2"


class Broker:
    """Answers that somebody else has made the topics, and shows them from the ``seen_at``-th look on."""

    def __init__(self, seen_at, partitions=topics.PARTITIONS):
        self.seen_at, self.partitions, self.looks, self.compared = seen_at, partitions, 0, []

    def list_topics(self, timeout):
        self.looks += 1
        shown = SimpleNamespace(partitions={number: SimpleNamespace(replicas=[0]) for number in range(self.partitions)})
        return SimpleNamespace(topics={"news": shown} if self.looks >= self.seen_at else {})

    def create_topics(self, new, **_):
        refused = Future()
        refused.set_exception(KafkaException(KafkaError(KafkaError.TOPIC_ALREADY_EXISTS)))
        return {topic.topic: refused for topic in new}

    def describe_configs(self, resources, **_):
        self.compared = [resource.name for resource in resources]
        told = Future()
        told.set_result({key: SimpleNamespace(value=value) for key, value in ROLES["news"].config(1).items()})
        return dict.fromkeys(resources, told)


@pytest.fixture
def made_by_another(monkeypatch):
    monkeypatch.setattr(topics, "_AGAIN_S", 0.001)
    monkeypatch.setattr(topics, "_SEEN_WITHIN_S", 0.05)

    def create(broker):
        monkeypatch.setattr(topics, "AdminClient", lambda _: broker)
        with capture_logs() as logs:
            assert topics.create("kafka:9092", {"news": ROLES["news"]}) == []
        return logs

    return create


def test_topics_that_another_process_makes_meanwhile_are_compared_once_they_are_seen(made_by_another):
    broker = Broker(seen_at=4, partitions=1)
    (warning,) = made_by_another(broker)
    assert broker.looks == 4
    assert (warning["topic"], warning["partitions"]) == ("news", "1, not 3")


def test_topics_that_are_not_seen_in_time_are_left_uncompared(made_by_another):
    broker = Broker(seen_at=10**9)
    (told,) = made_by_another(broker)
    assert told["topics"] == ["news"]
    assert broker.compared == []
