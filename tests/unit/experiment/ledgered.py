"""Forecasts as serving hands them to the ledger."""

from tickloom.experiment.records import Forecast

CUTOFF = 19_797  # 2024-03-15, a Friday


def forecast(**changes):
    given = {
        "experiment": "one", "arm": "champion", "market": "XNYS", "ticker": "AAPL", "interval": "1d",
        "cutoff": CUTOFF, "horizon": 1, "ds": CUTOFF + 3, "model": "lstm", "version": "7", "shadow": False,
        "request": "r-1", "features": "0" * 64, "y_cutoff": 100.0, "y_hat": 101.0,
        "lo_80": 98.0, "hi_80": 103.0, "lo_95": 96.0, "hi_95": 105.0, "recorded_us": 1_710_532_800_123_000,
    }  # fmt: skip
    return Forecast(**(given | changes))
