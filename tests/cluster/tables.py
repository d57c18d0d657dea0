"""Whether a job that was disturbed wrote what an undisturbed one wrote."""

from cassandra import InvalidRequest

from tests.integration.stream.jobs import Job
from tickloom.local.stack import Endpoints
from tickloom.store.connect import connect

BARS = "SELECT ticker, interval, time, open, high, low, close, volume, ticks, final, indicators FROM bars"
FINAL = 9
OPEN_AT_THE_END = 20
"""Bars of five tickers that are still open: the session's, and those of the last minutes, where stragglers may come."""


def prices(endpoints: Endpoints, keyspace: str, patience_s: float = 30.0) -> int:
    """Return the number of rows of prices; 0 where there is no table yet."""
    session = connect(endpoints.cassandra, patience_s=patience_s)
    try:
        return int(session.execute(f"SELECT count(*) FROM {keyspace}.stock_prices", timeout=60).one()[0])
    except InvalidRequest:  # it is the job that makes keyspace and table
        return 0
    finally:
        session.cluster.shutdown()


def assert_same(found: Job, wanted: Job) -> None:
    """Compare every cell of prices and anomalies, and every final bar."""
    for table in ("stock_prices", "anomalies"):
        query = f"SELECT * FROM {table}"
        rows = sorted(map(repr, wanted.rows(query)))
        assert rows, table
        assert sorted(map(repr, found.rows(query))) == rows, table
    all_bars = {repr(row) for row in wanted.rows(BARS)}
    final = {repr(row) for row in found.rows(BARS) if row[FINAL]}
    assert len(all_bars) > 2 * OPEN_AT_THE_END
    assert final <= all_bars
    assert len(final) >= len(all_bars) - OPEN_AT_THE_END
