import pytest

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
