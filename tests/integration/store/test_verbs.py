"""``tickloom load``, ``tickloom show`` and ``tickloom bench`` as a user runs them."""

import json
import re
import uuid

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from tickloom.bus.deadletters import headers
from tickloom.bus.producer import Producer
from tickloom.bus.topics import ensure, topic_name
from tickloom.cli import bench, load, show
from tickloom.cli.showing import Query
from tickloom.errors import TickloomError
from tickloom.local.addresses import cassandra_address, kafka_address
from tickloom.settings import settings
from tickloom.store.writer import Writer

from .tables import FIRST_US, prices

pytestmark = pytest.mark.integration

CSV = "Date,Open,High,Low,Close,Volume\n" + "".join(
    f"2024-01-{day:02},{i},{i + 2},{i - 1},{i + 1},{100 * i}\n"
    for i, day in enumerate((2, 3, 4, 5, 8, 9, 10, 11, 12), 10)
)


@pytest.fixture(autouse=True)
def environment(stack, keyspace, monkeypatch):
    for name, value in (("KAFKA", stack.kafka), ("CASSANDRA", stack.cassandra), ("KEYSPACE", keyspace)):
        monkeypatch.setenv(f"TICKLOOM_{name}", value)
    settings.cache_clear()
    yield
    settings.cache_clear()


def run(app, *arguments, **environment):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def loaded(tmp_path, ticker):
    path = tmp_path / f"{ticker}.csv"
    path.write_text(CSV)
    return path


def test_loaded_bars_are_shown_with_their_indicators(loaded, ticker):
    (done,) = lines(run(load.app, loaded, "--json"))
    assert (done["bars"], done["files"][0]["first"], done["files"][0]["last"]) == (9, "2024-01-02", "2024-01-12")

    rows = lines(run(show.app, "bars", ticker, "--json"))
    assert [row["close"] for row in rows] == [float(i + 1) for i in range(10, 19)]
    assert rows[0]["time"] == "2024-01-02T14:30:00.000000Z"
    assert {(row["source"], row["final"], row["interval"]) for row in rows} == {("load", True, "1d")}
    assert rows[-1]["indicators"]["sma_5"] == 17.0
    assert "sma_200" not in rows[-1]["indicators"]


def test_loading_again_changes_nothing(loaded, ticker):
    run(load.app, loaded)
    first = lines(run(show.app, "bars", ticker, "--json"))
    run(load.app, loaded)
    assert lines(run(show.app, "bars", ticker, "--json")) == first


def test_a_file_that_is_wrong_writes_nothing(loaded, ticker, tmp_path):
    wrong = tmp_path / "MSFT.csv"
    wrong.write_text("Date,Open,High,Low,Close,Volume\n2024-01-02,1,2,1,x,1\n")
    with pytest.raises(TickloomError):
        run(load.app, loaded, wrong)
    with pytest.raises(TickloomError, match=f"{ticker} has no bars .*`tickloom load FILE`"):
        run(show.app, "bars", ticker)


def test_one_ticker_for_two_files_is_refused(loaded):
    with pytest.raises(TickloomError, match="--ticker X names one instrument, but 2 files"):
        run(load.app, loaded, loaded, "--ticker", "X")


def test_prices_are_shown_in_the_terminal_and_limited(session, ticker):
    writer = Writer(session)
    writer.write("stock_prices", prices(ticker, 30, time_us=pa.array([FIRST_US + i * 1_000_000 for i in range(30)])))
    writer.flush()

    text = run(show.app, "prices", ticker, "--last", 2, COLUMNS="80").stdout
    assert "2019-02-15 14:30:29" in text
    assert "129.0000" in text
    assert "14:30:27" not in text
    assert max(map(len, text.splitlines())) <= 80
    rows = lines(
        run(show.app, "prices", ticker, "--from", "2019-02-15T14:30:05Z", "--to", "2019-02-15T14:30:08Z", "--json")
    )
    assert [row["sequence"] for row in rows] == [5, 6, 7]
    nothing = run(show.app, "prices", ticker, "--from", "2020-01-01", "--json")
    assert nothing.stdout == ""
    assert f"{ticker} has prices on 2019-02-15, but no prices within these limits" in nothing.stderr
    assert "but no anomalies" in run(show.app, "anomalies", ticker).stderr
    assert show.render(Query("anomalies", ticker)) == f"{ticker} has prices on 2019-02-15, but no anomalies"


def test_the_times_of_a_known_ticker_are_its_exchanges(session):
    writer = Writer(session)
    writer.write("stock_prices", prices("ATW", 1))
    writer.flush()
    assert "Africa/Casablanca" in run(show.app, "prices", "ATW").stdout
    assert "14:30:00" in run(show.app, "prices", "ATW", "--utc").stdout


def test_a_ticker_without_prices_is_told_what_to_do(ticker):
    with pytest.raises(TickloomError, match=f"{ticker} has no prices .*`tickloom ingest replay FILE`"):
        run(show.app, "prices", ticker)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "yesterday"), "--from 'yesterday' is neither a date"),
        (("--to", "2019-2-1"), "--to '2019-2-1' is neither a date"),
    ],
)
def test_wrong_limits_are_named(ticker, arguments, message):
    with pytest.raises(TickloomError, match=re.escape(message)):
        run(show.app, "prices", ticker, *arguments)


def test_dead_letters_are_shown_once(stack, monkeypatch):
    monkeypatch.setenv("TICKLOOM_TOPIC_PREFIX", f"test-{uuid.uuid4().hex[:8]}-")
    settings.cache_clear()
    ensure(stack.kafka, ["dead-letters"])
    about = {"reason": "bad-price", "detail": "price [red]-1[/]", "topic": "prices", "partition": 0, "job": "atw"}
    with Producer(stack.kafka) as producer:
        for offset, key in ((1, b"ATW"), (1, b"ATW"), (2, b"IAM")):
            producer.send(topic_name("dead-letters"), key, b"\xff", headers(**about, offset=offset))

    rows = lines(run(show.app, "dead-letters", "--json"))
    assert sorted(row["id"] for row in rows) == ["prices-0-1", "prices-0-2"]
    (row,) = lines(run(show.app, "dead-letters", "ATW", "--json"))
    assert (row["reason"], row["detail"], row["key"], row["value"]) == (
        "bad-price",
        "price [red]-1[/]",
        "ATW",
        "\ufffd",
    )
    assert "[red]" in run(show.app, "dead-letters", COLUMNS="200").stdout
    assert "no record with the key MSFT was refused" in run(show.app, "dead-letters", "MSFT").stderr


def test_without_a_stack_the_addresses_say_how_to_start_one(monkeypatch, tmp_path):
    monkeypatch.delenv("TICKLOOM_KAFKA")
    monkeypatch.delenv("TICKLOOM_CASSANDRA")
    settings.cache_clear()
    for address in (kafka_address, cassandra_address):
        with pytest.raises(TickloomError, match=r"nothing runs in .*; start it with `tickloom up`"):
            address(tmp_path)


def test_an_unknown_benchmark_is_refused_before_anything_starts(monkeypatch, tmp_path):
    with pytest.raises(TickloomError, match="benchmark 'speed' is unknown; known: ingest, stream"):
        run(bench.app, "speed")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TickloomError, match="there is no folder docs here"):
        run(bench.app, "store", "--record")


def test_the_benchmarks_measure_what_they_name(stack):
    from tickloom.bench import ingest, store

    where = {"kafka": stack.kafka, "cassandra": stack.cassandra}
    said: list[str] = []
    sent = ingest.run(said.append, **where, records=20_000, rounds=1, seconds=2)
    assert set(sent.figures) == {"messages_per_second", "message_bytes", "ack_p50_ms", "ack_p99_ms"}
    assert 180 < sent.figures["message_bytes"] < 220
    assert sent.ratios["to_perf_test"] > 0
    written = store.run(said.append, **where, writes=2, single_rows=1000, reads=20)
    assert written.figures["writes_per_second"] > written.peers["one_by_one_per_second"] > 0
    assert json.loads(written.to_json())["name"] == "store"
    assert said
