"""One made market and one MLflow for the tests of the steps."""

import pytest

from tests.unit.retrain.world import World, write_csv


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A folder of bars: two tickers whose returns follow each other."""
    folder = tmp_path_factory.mktemp("data")
    for seed, ticker in enumerate(("AAPL", "MSFT")):
        write_csv(folder, ticker, seed=seed)
    return folder


@pytest.fixture(scope="session")
def world(data, tmp_path_factory):
    """The steps up to the plan."""
    return World(tmp_path_factory.mktemp("steps")).prepared(["AAPL", "MSFT"], data)


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory):
    """A database whose only champion, where there is one, is the random walk."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
