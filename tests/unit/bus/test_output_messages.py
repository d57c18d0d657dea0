"""What the stream writes to its topics is what the schemas say."""

import json

import numpy as np
from jsonschema import Draft202012Validator

from tickloom.bus import schemas
from tickloom.stream import messages
from tickloom.stream.effects import Batch
from tickloom.stream.rows import BAR, TICK


def batch():
    ticks, bars = np.zeros(1, TICK), np.zeros(2, BAR)
    ticks["time_us"], ticks["price"], ticks["mean"], ticks["deviation"] = 1550264340000001, 170.2, 100.0, 2.0
    ticks["z_score"], ticks["anomaly"] = 35.1, 1
    for name in ("open", "high", "low", "close"):
        bars[name] = 170.2
    bars["start_us"], bars["day"], bars["interval_s"], bars["final"] = 1550264340000000, 17942, 60, [1, 0]
    bars["volume"] = -1
    return Batch(
        names=["AAPL"], sources=["replay"], ticks=ticks, tick_of=np.zeros(1, np.int32), bars=bars,
        bar_of=np.zeros(2, np.int32), values=np.array([[np.nan, 1.5], [2.0, 3.0]]), refused=[],
        duplicates=0, partition=0,
    )  # fmt: skip


def test_final_bars_fit_their_schema():
    ((key, value),) = messages.bars(batch(), ("sma20", "rsi14"))

    body = json.loads(value)
    Draft202012Validator(schemas.load("bar.v1")).validate(body)
    assert key == b"AAPL"
    assert body["indicators"] == {"rsi14": 1.5}


def test_anomalies_fit_their_schema():
    ((_, value),) = messages.anomalies(batch(), np.array([0]), 3.0)

    Draft202012Validator(schemas.load("anomaly.v1")).validate(json.loads(value))
