import json

import pytest
import structlog
from typer.testing import CliRunner

from tickloom.cli.ingest import app
from tickloom.errors import TickloomError
from tickloom.settings import settings

GBM = ["gbm", "--tickers", "AAPL,MSFT", "--begin", "2024-03-08T14:30:00Z"]


class Producer:
    """Stands in for Kafka: keeps what it is given."""

    made: "Producer"

    def __init__(self, bootstrap=None, topic=None):
        Producer.made = self
        self.where, self.blocks, self.sent, self.failed, self.closed = (bootstrap, topic), [], 0, 0, False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True

    def send_block(self, block):
        self.blocks.append(block)
        self.sent += len(block)


@pytest.fixture
def kafka(monkeypatch):
    monkeypatch.setenv("TICKLOOM_KAFKA", "localhost:9")
    settings.cache_clear()
    monkeypatch.setattr("tickloom.bus.producer.PriceProducer", Producer)
    monkeypatch.setattr("tickloom.bus.topics.create", lambda bootstrap, wanted: list(wanted))
    return Producer


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_replay_sends_everything_and_says_so(kafka, market_data):
    files = [market_data / "us_minute" / f"{ticker}_1min.csv" for ticker in ("AAPL", "SPY")]
    result = run("replay", *files, "--bootstrap", "localhost:1", "--topic", "p", "--json")
    told = json.loads(result.stdout)
    assert (told["sent"], told["failed"], told["origin"], told["dry_run"]) == (3898, 0, "replay", False)
    assert told["tickers"]["AAPL"] == {
        "records": 1948,
        "first": "2019-02-11T14:31:00.000000Z",
        "last": "2019-02-15T21:00:00.000000Z",
        "origin": "replay",
    }
    assert (kafka.made.where, kafka.made.closed) == (("localhost:1", "p"), True)


def test_gbm_says_what_it_starts_from(kafka):
    told = json.loads(run(*GBM, "--count", "1001", "--json").stdout)
    assert told["sent"] == 1001
    assert told["tickers"]["AAPL"]["origin"].startswith("synthetic, from 170.73 (reference price of 2024-03-08")


def test_a_dry_run_prints_messages_and_needs_no_kafka():
    result = run(*GBM, "--count", "3", "--start", "AAPL=10", "--dry-run")
    messages = [json.loads(line) for line in result.stdout.splitlines()]
    assert messages[0] == {
        "v": 1, "ticker": "AAPL", "time": "2024-03-08T14:30:00.000000Z", "price": 10.0, "volume": messages[0]["volume"],
        "source": messages[0]["source"], "sequence": 0,
    }  # fmt: skip
    assert {m["source"][:6] for m in messages} == {"gbm-0-"}
    assert [m["ticker"] for m in messages] == ["AAPL", "MSFT", "AAPL"]
    assert "3 records printed" in result.stderr


def test_a_rate_holds(kafka):
    told = json.loads(run(*GBM, "--count", "40", "--rate", "100", "--json").stdout)
    assert told["seconds"] >= 0.3


def test_times_ahead_of_the_clock_are_said_once(kafka):
    with structlog.testing.capture_logs() as logs:
        run("gbm", "--tickers", "AAPL", "--begin", "2090-03-08T14:30:00Z", "--count", "50000")
    assert [line["time"][:4] for line in logs if "ahead of the clock" in line["event"]] == ["2090"]


def test_the_keyboard_stops_it_and_the_sum_is_still_told(kafka, monkeypatch):
    def interrupt(self, block):
        if self.sent:
            raise KeyboardInterrupt
        self.sent += len(block)

    monkeypatch.setattr(Producer, "send_block", interrupt)
    result = run(*GBM, "--count", "100000", "--json")
    assert result.exit_code == 130
    assert json.loads(result.stdout)["sent"] == 10_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*GBM, "--start", "AAPL"], "--start 'AAPL' is not of the form"),
        (["gbm", "--tickers", "AAPL,ATW"], "'AAPL,ATW' trade on XCAS, XNYS; say --market"),
        (["gbm", "--tickers", "AAPL", "--begin", "now"], "--begin 'now' is not ISO 8601"),
        (["gbm", "--tickers", "AAPL", "--market", "XPAR"], "market 'XPAR' is unknown"),
        (["replay", "none.csv"], "none.csv: No such file"),
        (["replay", "none.csv", "--label", "middle"], "--label 'middle' is unknown; known: auto, start, end"),
        (["yahoo", "--tickers", "ATW", "--start", "soon"], "date 'soon' is not of the form"),
        (["yahoo", "--tickers", "ATW", "--interval", "2m"], "interval '2m' is unknown"),
    ],
)
def test_wrong_words_are_a_sentence(kafka, words, message):
    with pytest.raises(TickloomError, match=message):
        run(*words)


def test_without_a_broker_it_says_what_to_start(tmp_path):
    with pytest.raises(TickloomError, match=r"nothing runs in .*start it with `tickloom up`"):
        run(*GBM, "--count", "1", "--home", tmp_path)


@pytest.mark.parametrize("verb", ["replay", "gbm", "yahoo"])
def test_help_has_examples(verb):
    assert f"tickloom ingest {verb}" in run(verb, "--help").stdout
