"""Forecasts and scores as rows of the tables and as messages of the topic ``forecasts``, and back."""

import json
import math
from typing import Any

import numpy as np

from tickloom.bus.encode import iso
from tickloom.experiment.records import Forecast, Score
from tickloom.market.sessions import day_of
from tickloom.store.ledger import Partition, Row

FORECAST, SCORE = "forecast", "score"
_DAY_MS = 86_400_000
_SHARED = ("experiment", "arm", "market", "ticker", "interval", "cutoff", "horizon", "ds")
_FIGURES = ("y_cutoff", "y_hat", "lo_80", "hi_80", "lo_95", "hi_95")


def partition_of(record: Forecast | Score) -> Partition:
    """Return the partition of the ledger that a record belongs to."""
    return record.experiment, record.ticker, record.interval, day_of(record.cutoff).year


def ledger_row(record: Forecast | Score) -> Row:
    """Return the row of the ledger; when it was recorded is kept in whole milliseconds."""
    row: dict[str, Any] = {name: getattr(record, name) for name in _SHARED}
    row |= {"year": day_of(record.cutoff).year, "recorded": record.recorded_us // 1000}
    if isinstance(record, Score):
        return row | {"kind": SCORE, "revision": record.revision, "y": record.y, "losses": dict(record.losses)}
    row |= {name: getattr(record, name) for name in (*_FIGURES, "model", "shadow", "request", "features")}
    return row | {"kind": FORECAST, "revision": 0, "model_version": record.version}


def record_of(row: Row) -> Forecast | Score:
    """Return what a row of the ledger holds."""
    shared: dict[str, Any] = {name: row[name] for name in _SHARED} | {"recorded_us": row["recorded"] * 1000}
    if row["kind"] == SCORE:
        return Score(**shared, y=row["y"], losses=row["losses"], revision=row["revision"])
    figures: dict[str, Any] = {name: math.nan if row[name] is None else row[name] for name in _FIGURES}
    named: dict[str, Any] = {name: row[name] for name in ("model", "shadow", "request", "features")}
    return Forecast(**shared, **figures, **named, version=row["model_version"])


def prediction_row(forecast: Forecast) -> Row:
    """Return the row of ``predictions``."""
    row: dict[str, Any] = {name: getattr(forecast, name) for name in ("ticker", "interval", "model", *_FIGURES)}
    return row | {
        "year": day_of(forecast.cutoff).year,
        "cutoff": forecast.cutoff * _DAY_MS,
        "ds": forecast.ds * _DAY_MS,
        "model_version": forecast.version,
        "created": forecast.recorded_us // 1000,
    }


def message(forecast: Forecast) -> tuple[bytes, bytes]:
    """Return key and value of the message ``forecast.v1``."""
    cutoff, day = day_of(forecast.cutoff).isoformat(), day_of(forecast.ds).isoformat()
    place = (forecast.experiment, forecast.arm, forecast.ticker, forecast.interval, cutoff, str(forecast.horizon))
    body: dict[str, Any] = {"v": 1, "id": "|".join(place)}
    body |= {name: getattr(forecast, name) for name in ("experiment", "arm", "market", "ticker", "interval")}
    body |= {"cutoff": cutoff, "horizon": forecast.horizon, "ds": day}
    body |= {name: getattr(forecast, name) for name in ("model", "version", "request", "features")}
    for name in _FIGURES:
        value = getattr(forecast, name)
        body[name] = value if math.isfinite(value) else None
    body["recorded"] = f"{iso(np.array([forecast.recorded_us]))[0]}Z"
    return forecast.ticker.encode(), json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
