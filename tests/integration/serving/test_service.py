"""The forecast service as it runs: its processes, Cassandra, Kafka and a registry, with a client."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest

from tests.unit.forecast import series
from tickloom.bench.serving.processes import Server
from tickloom.bus.consume import records
from tickloom.bus.roles import ROLES
from tickloom.bus.topics import create, topic_name
from tickloom.client import Client
from tickloom.experiment.maturing import entries
from tickloom.forecast import package
from tickloom.forecast.features import feature_frame
from tickloom.forecast.histories import from_file, from_store
from tickloom.forecast.models import make
from tickloom.forecast.package import Manifest
from tickloom.forecast.registry import Registry
from tickloom.forecast.versions import CHAMPION
from tickloom.market.sessions import day_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
MARKET = "XNYS"
SESSIONS = 500


@pytest.fixture(scope="module")
def prices(tmp_path_factory):
    """A CSV of made daily bars."""
    made = series.history(SESSIONS, seed=3)
    columns = {name: getattr(made, name) for name in ("open", "high", "low", "close", "volume")}
    path = tmp_path_factory.mktemp("prices") / "TRIAL.csv"
    pd.DataFrame({"date": _past_days(), **columns}).to_csv(path, index=False)
    return path


def _past_days():
    from tickloom.market.sessions import days_of, session_table

    days = session_table(MARKET).day
    end = int(np.searchsorted(days, days_of(pd.Timestamp("2024-06-28").date())))
    return [day_of(int(day)).isoformat() for day in days[end - SESSIONS : end]]


@pytest.fixture(scope="module")
def registry(tmp_path_factory, prices):
    """Two versions of TRIAL's model beside the random walk: ridge and drift."""
    folder = tmp_path_factory.mktemp("registry")
    found = Registry(f"sqlite:///{folder / 'mlflow.db'}")
    frame = feature_frame(from_file(prices, market=MARKET, ticker="TRIAL"))
    for name in ("ridge", "drift"):
        model = make(name, 2).fit(frame)
        package.write(folder / name, model, Manifest.of(model, frame))
        found.push(folder / name)
    return found


@pytest.fixture(scope="module")
def service(stack, keyspace, prices, registry, tmp_path_factory):
    """The service over the store, and its settings."""
    home = tmp_path_factory.mktemp("service")
    stores = {
        "TICKLOOM_CASSANDRA": stack.cassandra,
        "TICKLOOM_KAFKA": stack.kafka,
        "TICKLOOM_KEYSPACE": keyspace,
        "TICKLOOM_HOME": str(home),
    }
    create(stack.kafka, {topic_name("forecasts"): ROLES["forecasts"]})
    load = [sys.executable, "-m", "tickloom.cli.main", "load", str(prices), "--market", MARKET]
    subprocess.run(load, env={**os.environ, **stores}, check=True, capture_output=True)
    registry.move_alias(MARKET, "TRIAL", CHAMPION, 2)
    settings = {**stores, "TICKLOOM_MLFLOW": registry.uri, "TICKLOOM_SERVE_POLL_S": "1", "TICKLOOM_SERVE_CACHE": "off"}
    command = ("-m", "services.forecast", "--host", "127.0.0.1")
    first = ("/v1/forecast", '{"ticker": "TRIAL"}')
    with Server(command, settings, first, home / "service.log") as running:
        yield running


@contextmanager
def asking(service):
    """Ask without a pause while the body runs; every answer and every failure is kept."""
    answers, failures, stop = [], [], threading.Event()

    def ask():
        with Client(service.url("")) as client:
            while not stop.is_set():
                try:
                    answers.append(client.forecast("TRIAL"))
                except Exception as error:
                    failures.append(error)
                    time.sleep(0.05)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for it in threads:
        it.start()
    try:
        yield answers, failures
    finally:
        stop.set()
        for it in threads:
            it.join()


def until(check, seconds=60.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.1)


def test_features_of_the_store_are_those_of_the_training(service, session, prices):
    trained = feature_frame(from_file(prices, market=MARKET, ticker="TRIAL"))
    served = feature_frame(from_store(session, "TRIAL", MARKET), trained.names)
    assert len(served) == len(trained) == SESSIONS
    assert np.nanmax(np.abs(served.values - trained.values)) <= 1e-9
    assert (np.isnan(served.values) == np.isnan(trained.values)).all()


def test_an_answer_is_the_models_forecast_and_is_written_down(service, registry, session, stack, tmp_path, prices):
    with Client(service.url("")) as client:
        found = client.forecast("TRIAL", why=True)
    registry.pull(MARKET, "TRIAL", tmp_path, "2")
    model, _ = package.read(tmp_path / "package")
    frame = feature_frame(from_file(prices, market=MARKET, ticker="TRIAL"))
    expected = frame.history.close[-1] * np.exp(model.predict(frame).mean[0])
    assert [it.close for it in found.sessions] == pytest.approx(expected.tolist(), rel=1e-6)
    assert (found.model, found.version, found.arm) == ("ridge", "2", CHAMPION)
    assert found.why
    until(lambda: entries(session, "default", "TRIAL")[0], 30)
    held = entries(session, "default", "TRIAL")[0]
    assert sorted((it.horizon, round(it.y_hat, 6)) for it in held) == [
        (at + 1, round(float(price), 6)) for at, price in enumerate(it.close for it in found.sessions)
    ]
    sent = list(records(stack.kafka, topic_name("forecasts"), "TRIAL"))
    assert len(sent) == 2


def test_models_are_swapped_without_a_failed_request(service, registry):
    with asking(service) as (answers, failures):
        for version, name in ((3, "drift"), (1, "random_walk"), (2, "ridge")):
            registry.move_alias(MARKET, "TRIAL", CHAMPION, version)
            until(lambda name=name: answers and answers[-1].model == name)
    assert failures == []
    assert {it.model for it in answers} == {"ridge", "drift", "random_walk"}


def test_a_killed_inference_process_costs_nobody_an_answer(service):
    with asking(service) as (answers, failures):
        until(lambda: len(answers) > 5)
        os.kill(service.named("inference").pid, signal.SIGKILL)
        begun = len(answers)
        until(lambda: len(answers) > begun + 20 and answers[-1].degraded is None)
    assert failures == []


def test_an_unknown_ticker_and_a_body_that_is_none_are_problems(service):
    import httpx

    found = httpx.post(service.url("/v1/forecast"), json={"ticker": "TRAIL"})
    assert found.status_code == 404
    assert found.headers["content-type"] == "application/problem+json"
    assert found.json()["errors"][0]["near"] == ["TRIAL"]
    assert httpx.post(service.url("/v1/forecast"), content=b"{").status_code in (400, 415)
    assert httpx.get(service.url("/readyz")).text == "ok\n"
    assert "tickloom_serve_requests_total" in httpx.get(service.url("/metrics")).text
