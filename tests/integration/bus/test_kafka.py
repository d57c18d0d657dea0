"""A real broker: topics, partitions, delivery, dead letters."""

import json
import uuid

import numpy as np
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from jsonschema import Draft202012Validator
from structlog.testing import capture_logs

from tickloom.bus import schemas
from tickloom.bus.consume import messages, records
from tickloom.bus.deadletters import headers, read
from tickloom.bus.producer import PriceProducer, Producer
from tickloom.bus.roles import ROLES
from tickloom.bus.topics import create, ensure, partition_for
from tickloom.errors import TickloomError
from tickloom.sources.blocks import PriceBlock

pytestmark = pytest.mark.integration


def delete(stack, name):
    admin = AdminClient({"bootstrap.servers": stack.kafka})
    admin.delete_topics([name])[name].result(30)


@pytest.fixture
def name():
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def topic(stack, name):
    create(stack.kafka, {name: ROLES["dead-letters"]})
    yield name
    delete(stack, name)


def block(n, tickers=("AAPL", "MSFT", "ATW"), first=0):
    codes = np.arange(n) % len(tickers)
    return PriceBlock(
        tickers=list(tickers),
        codes=codes.astype(np.int32),
        time_us=1550241000000000 + np.arange(n, dtype=np.int64),
        price=100.0 + np.arange(n) / 100,
        volume=np.full(n, -1),
        source="test",
        sequence=first + np.arange(n),
    )


def test_topics_are_made_once_and_have_the_documented_settings(stack, name):
    assert create(stack.kafka, {name: ROLES["bars"]}) == [name]
    with capture_logs() as said:
        assert create(stack.kafka, {name: ROLES["bars"]}) == []
    assert said == []
    delete(stack, name)


def test_the_installations_topics_are_there_afterwards(stack):
    ensure(stack.kafka)
    assert set(ROLES) <= set(AdminClient({"bootstrap.servers": stack.kafka}).list_topics(timeout=10).topics)


def test_a_topic_with_other_settings_is_told_and_left_alone(stack, name):
    admin = AdminClient({"bootstrap.servers": stack.kafka})
    admin.create_topics([NewTopic(name, 5, 1, config={"retention.ms": "1000"})])[name].result(30)
    with capture_logs() as said:
        assert create(stack.kafka, {name: ROLES["prices"]}) == []

    (line,) = said
    assert line["topic"] == name
    assert line["partitions"] == "5, not 3"
    assert line["retention.ms"] == "1000, not 604800000"
    assert len(admin.list_topics(timeout=10).topics[name].partitions) == 5
    delete(stack, name)


def test_the_client_puts_every_key_where_partition_for_says(stack, topic):
    keys = [b"", b"A", b"AAPL", b"ATW", "مازن".encode(), *(uuid.uuid4().bytes[: i % 16 + 1] for i in range(300))]
    with Producer(stack.kafka) as producer:
        for key in keys:
            producer.send(topic, key, b"x")

    found = {(message.key() or b"", message.partition()) for message in messages(stack.kafka, topic)}
    assert found == {(key, partition_for(key, 3)) for key in keys}


def test_a_block_arrives_whole_in_order_and_as_the_schema_says(stack, topic):
    with PriceProducer(stack.kafka, topic) as producer:
        producer.send_block(block(5000))
        producer.send_block(block(100, first=5000))

    assert (producer.sent, producer.failed) == (5100, 0)
    validator = Draft202012Validator(schemas.load("price.v1"))
    sequences: dict[bytes, list[int]] = {}
    for message in messages(stack.kafka, topic):
        body = json.loads(message.value())
        assert body["ticker"].encode() == message.key()
        sequences.setdefault(message.key(), []).append(body["sequence"])
    validator.validate(body)
    assert sum(map(len, sequences.values())) == 5100
    assert all(found == sorted(found) for found in sequences.values())


def test_a_record_too_large_is_refused_with_its_size(stack, topic):
    with Producer(stack.kafka) as producer, pytest.raises(TickloomError, match="a record of 6291456 bytes cannot be"):
        producer.send(topic, b"A", bytes(6 << 20))


def test_messages_of_an_absent_topic_are_counted_as_failed(stack):
    producer = Producer(stack.kafka, delivery_timeout_s=3)
    for _ in range(7):
        producer.send("test-no-such-topic", b"A", b"x")
    with pytest.raises(
        TickloomError, match=r"7 messages were not delivered within 3 s \(7 × topic 'test-no-such-topic'"
    ):
        producer.flush()
    assert (producer.sent, producer.failed) == (0, 7)


def test_an_absent_broker_is_said_while_waiting_and_given_up_in_time():
    producer = Producer("127.0.0.1:1", delivery_timeout_s=2)
    with capture_logs() as said:
        producer.send("prices", b"A", b"x")
        with pytest.raises(TickloomError, match=r"Kafka at 127.0.0.1:1: 1 messages were not delivered within 2 s"):
            producer.flush()
    assert said[0]["event"] == "Kafka is away; its records wait"
    assert said[0]["waiting"] in (1, 2)  # librdkafka counts its own requests too


def test_a_full_queue_holds_the_sender_back_until_the_records_are_given_up():
    producer = PriceProducer("127.0.0.1:1", "prices", delivery_timeout_s=3)
    with pytest.raises(TickloomError, match=r"\d{5,} messages were not delivered within 3 s"):
        producer.send_block(block(250_000))
    assert producer.sent == 0


def test_an_absent_broker_is_named_by_readers_and_topics():
    with pytest.raises(TickloomError, match=r"Kafka at 127.0.0.1:1 does not answer"):
        list(messages("127.0.0.1:1", "prices", timeout_s=1))
    with pytest.raises(TickloomError, match=r"Kafka at 127.0.0.1:1 does not answer"):
        ensure("127.0.0.1:1", timeout_s=1)


def test_reading_an_absent_topic_is_an_error(stack):
    with pytest.raises(TickloomError, match="'test-nothing' does not exist"):
        list(messages(stack.kafka, "test-nothing"))


def test_dead_letters_come_once_with_their_bytes(stack, topic):
    about = {"reason": "not-json", "detail": "no", "topic": "prices", "partition": 0, "job": "test"}
    with Producer(stack.kafka) as producer:
        for offset in (1, 2, 1, 3, 2):
            producer.send(topic, None if offset == 3 else b"AAPL", b"\xff\x00", headers(**about, offset=offset))

    letters = sorted(read(stack.kafka, topic), key=lambda letter: letter.offset)
    assert [letter.id for letter in letters] == ["prices-0-1", "prices-0-2", "prices-0-3"]
    assert [letter.key for letter in letters] == [b"AAPL", b"AAPL", None]
    assert {letter.value for letter in letters} == {b"\xff\x00"}


def test_repeated_records_come_once(stack, topic):
    with Producer(stack.kafka) as producer:
        for number in (1, 2, 1, 3):
            producer.send(topic, b"AAPL", json.dumps({"id": f"a{number}"}).encode())
        producer.send(topic, b"MSFT", b'{"id": "m1"}')

    assert [body["id"] for body in records(stack.kafka, topic, "AAPL")] == ["a1", "a2", "a3"]
    assert list(records(stack.kafka, topic, "NOBODY")) == []
    assert {body["id"] for body in records(stack.kafka, topic)} == {"a1", "a2", "a3", "m1"}
    assert [body["id"] for body in records(stack.kafka, topic, "AAPL", last=2)][-1:] == ["a3"]
