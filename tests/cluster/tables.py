"""Whether a job that was disturbed wrote what an undisturbed one wrote."""

from tests.integration.stream.jobs import Job

BARS = "SELECT ticker, interval, time, open, high, low, close, volume, ticks, final, indicators FROM bars"
FINAL = 9
OPEN_AT_THE_END = 20
"""Bars of five tickers that are still open: the session's, and those of the last minutes, where stragglers may come."""


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
