"""What the tests of every folder share: one embedded stack, and real market data where there is some."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tickloom.local import stack as local
from tickloom.local.stack import Endpoints

# how long an example takes says how busy the machine is
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep in one process, where there are several, what shares one cluster, and else the tests of a file."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", maxsplit=1)[0]
            return "cluster" if file.startswith("tests/cluster/") else file

    return ByFile(config, log)


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
