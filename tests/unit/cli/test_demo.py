"""The demo, with stand-ins for Kafka, Spark and Cassandra."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from tickloom.cli import demo, run, show
from tickloom.errors import TickloomError
from tickloom.local import stack
from tickloom.local.stack import Endpoints
from tickloom.market.sessions import session_table
from tickloom.settings import settings


class Producer:
    """Stands in for Kafka: keeps what it is given."""

    def __init__(self, _bootstrap, topic):
        self.topic, self.blocks, self.sent = topic, [], 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def send_block(self, block):
        self.blocks.append(block)
        self.sent += len(block)


@pytest.fixture
def play(monkeypatch, tmp_path):
    """Run the demo and return its output, its producer, the manifest that ran, and what was shown."""
    monkeypatch.chdir(Path(__file__).parents[3])
    where = Endpoints("127.0.0.1:1", "127.0.0.1:2")
    monkeypatch.setattr(stack, "endpoints", lambda _home: where)
    monkeypatch.setattr(stack, "up", lambda _home, progress: where)
    monkeypatch.setenv("TICKLOOM_KAFKA", where.kafka)
    monkeypatch.setattr("tickloom.bus.topics.create", lambda _bootstrap, wanted: list(wanted))

    def play(*words):
        made, ran, shown = [], [], []

        def produce(*arguments):
            made.append(Producer(*arguments))
            return made[-1]

        def execute(manifest, _home, **_):
            ran.append(yaml.safe_load(manifest.read_text()))
            return {"rows_in": made[-1].sent}

        monkeypatch.setattr("tickloom.bus.producer.PriceProducer", produce)
        monkeypatch.setattr(run, "execute", execute)
        monkeypatch.setattr(show, "render", lambda query, _home: shown.append(query) or query.what)
        result = CliRunner().invoke(demo.app, ["--home", str(tmp_path), *map(str, words)], catch_exceptions=False)
        return result, made[-1], ran[-1], shown

    return play


def test_it_keeps_to_its_own_keyspace_and_shows_only_what_it_put_in(play):
    result, producer, ran, shown = play()
    assert ran["spec"]["sinks"]["cassandra"]["keyspace"] == "demo"
    assert ran["spec"]["source"]["topic"] == producer.topic
    assert [(q.what, q.keyspace, q.start, q.end) for q in shown] == [
        (what, "demo", "2024-03-08", "2024-03-08") for what in ("bars", "anomalies")
    ]
    assert "TICKLOOM_KEYSPACE=demo tickloom show bars AAPL --from 2024-03-08 --to 2024-03-08 --last 8" in result.stdout
    assert json.loads(result.stdout.splitlines()[-1]) == {"rows_in": producer.sent}


def test_it_makes_the_same_prices_each_time(play):
    first, second = (np.concatenate([block.price for block in play()[1].blocks]) for _ in range(2))
    assert (first == second).all()


def test_real_prices_are_shown_by_their_own_days(play, market_data):
    _, producer, _, shown = play("--data", market_data)
    assert {block.source for block in producer.blocks} == {"replay"}
    assert {(query.start, query.end) for query in shown} == {("2019-02-11", "2019-02-15")}


def test_prices_come_in_the_sessions_of_the_manifests_market(play):
    _, producer, ran, _ = play("--file", "manifests/samples/atw.yaml")
    times = np.concatenate([block.time_us for block in producer.blocks])
    assert ran["spec"]["market"] == "XCAS"
    assert (session_table("XCAS").locate(times) >= 0).all()


def test_a_named_folder_without_prices_is_refused(play, tmp_path, monkeypatch):
    with pytest.raises(TickloomError, match=r"--data /nope: there is no /nope/us_minute/AAPL_1min\.csv"):
        play("--data", "/nope")
    monkeypatch.setenv("TICKLOOM_DATA", "/nope")
    settings.cache_clear()
    assert "(tickloom ingest gbm; TICKLOOM_DATA has no us_minute/AAPL_1min.csv)" in play()[0].stdout
