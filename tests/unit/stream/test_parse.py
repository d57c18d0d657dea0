"""The JVM's judgement of every kind of bad record, and how records cross to Python."""

import json
from datetime import UTC, datetime

import pytest

from tests.unit.stream.helpers import spec
from tickloom.stream import parse, wire

ARRIVED = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = {
    "v": 1,
    "ticker": "AAPL",
    "time": "2019-02-15T20:59:00.000001Z",
    "price": 170.2461,
    "volume": 202717,
    "source": "replay",
    "sequence": 1551,
}
ABSENT = object()


def price(**changes):
    return json.dumps({k: v for k, v in {**GOOD, **changes}.items() if v is not ABSENT}).encode()


SUMMARY = {"interval": "1m", "open": 170.0, "high": 171, "low": "169.5"}
REFUSED = {
    "no value": (b"AAPL", None, "not-json"),
    "words": (b"AAPL", b"nope", "not-json"),
    "half an object": (b"AAPL", b'{"v":1', "not-json"),
    "more than an object": (b"AAPL", price() + b"x", "not-json"),
    "two objects": (b"AAPL", price() + price(), "not-json"),
    "two objects and a comma": (b"AAPL", price() + b", {}", "not-json"),
    "a list": (b"AAPL", b"[1,2]", "not-json"),
    "a number": (b"AAPL", b"123", "not-json"),
    "an empty object": (b"AAPL", b"{}", "not-json"),
    "a later version": (b"AAPL", price(v=2), "schema-version"),
    "no version": (b"AAPL", price(v=ABSENT), "missing-field"),
    "no price": (b"AAPL", price(price=ABSENT), "missing-field"),
    "null price": (b"AAPL", price(price=None), "missing-field"),
    "negative price": (b"AAPL", price(price=-1), "bad-price"),
    "zero price": (b"AAPL", price(price=0), "bad-price"),
    "NaN": (b"AAPL", price(price=float("nan")), "bad-price"),
    "NaN in words": (b"AAPL", price(price="NaN"), "bad-price"),
    "infinite": (b"AAPL", price(price=float("inf")), "bad-price"),
    "too large for a double": (b"AAPL", price(price="1e999"), "bad-price"),
    "a truth": (b"AAPL", price(price=True), "bad-price"),
    "a nested price": (b"AAPL", price(price={"a": 1}), "bad-price"),
    "future": (b"AAPL", price(time="2026-01-01T00:05:01Z"), "future-time"),
    "a date": (b"AAPL", price(time="2019-02-15"), "bad-time"),
    "no zone": (b"AAPL", price(time="2019-02-15T20:59:00"), "bad-time"),
    "no time": (b"AAPL", price(time="yesterday, at noonZ"), "bad-time"),
    "long ago": (b"AAPL", price(time="1800-02-15T20:59:00.000000Z"), "bad-time"),
    "unknown ticker": (b"ZZZZ", price(ticker="ZZZZ"), "unknown-ticker"),
    "no key": (None, price(), "no-key"),
    "key of another": (b"ZZZZ", price(), "key-mismatch"),
    "key that is no text": (b"\xff\xfe", price(), "key-mismatch"),
    "not UTF-8": (b"AAPL", price(source="a").replace(b'"a"', b'"\xff"'), "not-utf8"),
    "two megabytes": (b"AAPL", price(extra="x" * 2_000_000), "too-large"),
    "negative sequence": (b"AAPL", price(sequence=-1), "bad-value"),
    "fraction of a sequence": (b"AAPL", price(sequence=1.5), "bad-value"),
    "endless sequence": (b"AAPL", price(sequence=2**63), "bad-value"),
    "negative volume": (b"AAPL", price(volume=-5), "bad-value"),
    "odd source": (b"AAPL", price(source="é"), "bad-value"),
    "odd interval": (b"AAPL", price(interval="7m"), "bad-value"),
    "interval without prices": (b"AAPL", price(interval="1m"), "bad-price"),
    "price above its high": (b"AAPL", price(**{**SUMMARY, "high": 170.1}), "bad-price"),
}
ACCEPTED = {
    "plain": price(),
    "decimal text": price(price="170.2461"),
    "no volume": price(volume=ABSENT),
    "more fields": price(extra="field"),
    "objects and braces inside": price(extra=[{"a": "}{"}, {}]),
    "an interval": price(**SUMMARY),
    "offset in digits": price(time="2019-02-15T20:59:00.000001+00:00"),
}


@pytest.fixture(scope="module")
def judge(spark):
    wanted = spec().model_copy(update={"dead_letters": "all"})

    def run(cases, spec=wanted):
        rows = [(key, value, 1, offset, ARRIVED) for offset, (key, value) in enumerate(cases)]
        schema = "key binary, value binary, partition int, offset bigint, timestamp timestamp"
        frame = spark.createDataFrame(rows, schema)
        mine = frame.where(parse.mine(spec, {"AAPL", "MSFT"}))
        return wire.encoded(parse.typed(mine, spec)).collect()

    return run


def test_every_bad_record_has_its_reason_and_keeps_its_bytes(judge):
    rows = judge([(key, value) for key, value, _ in REFUSED.values()])
    assert len(rows) == len(REFUSED)
    for row in rows:
        refused = wire.refused_of(bytes(row.payload))
        key, value, reason = list(REFUSED.values())[refused.offset]
        assert (refused.key, refused.value, refused.partition) == (key, value, 1)
        assert refused.reason == reason, f"{list(REFUSED)[refused.offset]}: {refused}"
        assert row.group == f"{parse.DEAD_GROUP}1"
        assert refused.detail


def test_good_records_arrive_as_they_are(judge):
    rows = judge([(b"AAPL", value) for value in ACCEPTED.values()])
    assert {row.group for row in rows} == {"AAPL"}
    payloads = [bytes(row.payload) for row in rows]
    records = wire.records_of(payloads)
    order = [wire.position_of(int(position))[1] for position in records.position]
    assert sorted(order) == list(range(len(ACCEPTED)))
    assert set(records.price) == {170.2461}
    assert set(records.time_us) == {1550264340000001}
    assert set(records.sequence) == {1551}
    by_name = dict(zip((list(ACCEPTED)[i] for i in order), range(len(order)), strict=True))
    assert records.volume[by_name["no volume"]] == -1
    at = by_name["an interval"]
    assert (records.interval_s[at], records.open[at], records.high[at], records.low[at]) == (60, 170.0, 171.0, 169.5)
    assert [wire.original(payload) for payload in payloads] == [ACCEPTED[list(ACCEPTED)[i]] for i in order]


def test_records_of_other_jobs_are_left_alone(judge):
    cases = [
        (b"MSFT", price(ticker="MSFT")),
        (b"MSFT", b"broken"),
        (b"ZZZZ", b"broken"),
        (None, b"broken"),
        (b"AAPL", price()),
    ]
    assert len(judge(cases)) == 3
    own = spec()
    assert own.dead_letters == "own"
    assert [row.group for row in judge(cases, own)] == ["AAPL"]
