import pytest

from tickloom.bus.deadletters import HEADERS, REASONS, DeadLetter, headers, parse
from tickloom.errors import TickloomError

ABOUT = {"reason": "bad-price", "detail": "price -1 €", "topic": "prices", "partition": 2, "offset": 17, "job": "atw"}


def test_headers_read_back_as_they_were():
    letter = parse(headers(**ABOUT), b"ATW", b"{}")

    assert letter == DeadLetter(**ABOUT, key=b"ATW", value=b"{}")
    assert letter.id == "prices-2-17"


def test_every_documented_header_is_written():
    written = dict(headers(**ABOUT))
    assert list(written) == list(HEADERS)
    assert written["id"] == b"prices-2-17"


def test_an_unknown_reason_cannot_be_written():
    with pytest.raises(TickloomError, match="'ugly' is unknown; known: not-json"):
        headers(**ABOUT | {"reason": "ugly"})


@pytest.mark.parametrize("found", [None, [], [("reason", b"late")], [*headers(**ABOUT)[:-1], ("offset", b"x")]])
def test_a_record_that_is_no_dead_letter_is_told(found):
    with pytest.raises(TickloomError, match="lacks a usable header"):
        parse(found, None, None)


def test_every_reason_is_explained_in_one_sentence():
    assert all(text.endswith(".") and text[0].isupper() for text in REASONS.values())
