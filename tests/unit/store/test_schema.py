import pytest

from tickloom.errors import TickloomError
from tickloom.store.connect import connect, parse_contact_points
from tickloom.store.schema import MIGRATIONS

RELEASED = {
    "prices": "35b76e420fe8aee7",
    "news": "862306d09011d6b3",
    "forecasts": "7a0de9cca2e9ed79",
    "ledger": "70bbc1247074cd81",
}


def test_released_migrations_never_change():
    assert {migration.name: migration.checksum[:16] for migration in MIGRATIONS} == RELEASED


def test_versions_count_from_one():
    assert [migration.version for migration in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


def test_the_checksum_disregards_white_space_only():
    first = MIGRATIONS[0]
    spaced = type(first)(1, "x", tuple(text.replace(" ", "\n  ") for text in first.statements))
    other = type(first)(1, "x", (*first.statements[:-1], first.statements[-1].replace("bars", "rods")))
    assert spaced.checksum == first.checksum
    assert other.checksum != first.checksum


def test_contact_points_are_read():
    assert parse_contact_points("a:1, b ,[::1]:9043,[::2]") == [("a", 1), ("b", 9042), ("::1", 9043), ("::2", 9042)]


@pytest.mark.parametrize("text", ["", " , ", "host:", "host:0", "host:port", ":9042", "host:70000"])
def test_wrong_contact_points_are_refused(text):
    with pytest.raises(TickloomError, match="contact point"):
        parse_contact_points(text)


def test_an_absent_node_is_named():
    with pytest.raises(TickloomError, match=r"Cassandra at 127.0.0.1:1 does not answer .*`tickloom status`"):
        connect("127.0.0.1:1", patience_s=0.3)
