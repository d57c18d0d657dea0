"""Settings are read anew in every test; verbs of forecasting have prices in a file and an MLflow in a database."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from tests.unit.forecast.series import history
from tickloom.settings import settings


@pytest.fixture(autouse=True)
def fresh_settings(monkeypatch):
    for name in ("KAFKA", "CASSANDRA", "KEYSPACE", "DATA", "INSTRUMENTS", "MLFLOW", "HOME"):
        monkeypatch.delenv(f"TICKLOOM_{name}", raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory):
    """URI of one database, for making one takes long; each test has a ticker of its own."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def prices(tmp_path):
    """Write daily bars into a file that bears the ticker's name."""

    def write(ticker, sessions=700, change=None):
        made = history(sessions, phi=0.4, ticker=ticker)
        days = pd.to_datetime(made.day, unit="D").strftime("%Y-%m-%d")
        columns = {name.capitalize(): getattr(made, name) for name in ("open", "high", "low", "close", "volume")}
        table = pd.DataFrame({"Date": days, **columns})
        if change is not None:
            change(table)
        path = tmp_path / f"{ticker}.csv"
        table.to_csv(path, index=False)
        return path

    return write


@pytest.fixture
def call():
    """Call a verb; errors come through."""

    def call(app, *words):
        return CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)

    return call


@pytest.fixture
def asked(call):
    """Call a verb with --json, and return its object; NaN and Infinity are no JSON."""

    def no_constant(name):
        raise AssertionError(f"{name} is no JSON")

    def asked(app, *words):
        # warnings of the log come before it here; in a process of its own they go to standard error
        return json.loads(call(app, *words, "--json").stdout.splitlines()[-1], parse_constant=no_constant)

    return asked
