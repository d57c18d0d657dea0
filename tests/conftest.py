"""What the tests of every folder share: one embedded stack, and real market data where there is some."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tickloom.local import stack as local
from tickloom.local.stack import Endpoints

# how long an example takes says how busy the machine is
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


@pytest.hookimpl(tryfirst=True)  # before xdist, which reads the groups in the same hook
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep in one process, where there are several, what shares one cluster, and else the tests of a file."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    cluster = Path(__file__).parent / "cluster"
    for item in items:
        group = "cluster" if item.path.is_relative_to(cluster) else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    """Kafka and Cassandra: those of TICKLOOM_KAFKA and TICKLOOM_CASSANDRA, else started once for the whole run."""
    kafka, cassandra = os.environ.get("TICKLOOM_KAFKA"), os.environ.get("TICKLOOM_CASSANDRA")
    if kafka and cassandra:
        yield Endpoints(kafka, cassandra)
        return
    home = tmp_path_factory.mktemp("stack")
    try:
        yield local.up(home)
    finally:
        local.down(home)


@pytest.fixture(scope="session")
def market_data() -> Path:
    """Return the folder of real market data."""
    named = os.environ.get("TICKLOOM_DATA")
    if not named:
        pytest.skip("needs real market data: set TICKLOOM_DATA to its folder")
    folder = Path(named)
    if not folder.is_dir():
        pytest.skip(f"TICKLOOM_DATA '{folder}' is not a folder: set it to the folder of real market data")
    return folder
