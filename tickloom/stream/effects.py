"""The effects of many tickers, decoded and put together as the tables that the sinks write."""

import json
import pickle
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tickloom.store.maps import indicator_maps
from tickloom.stream import fields
from tickloom.stream.machine import Effects, vwap
from tickloom.stream.rows import BAR, INTERVAL_NAMES, TICK, UNKNOWN_VOLUME, Array
from tickloom.stream.wire import Refused


@dataclass(frozen=True)
class Batch:
    """What one task holds of a micro-batch.

    Parameters
    ----------
    names
        Tickers; ``tick_of`` and ``bar_of`` point into it.
    sources
        Names of sources; ``ticks['source']`` points into it.
    ticks, bars
        Rows of ``TICK`` and ``BAR``, each ticker's together.
    tick_of, bar_of
        int32: the ticker of each row.
    values
        float64[len(bars), number of indicators].
    refused
        Records that became dead letters.
    duplicates
        How many records were repeats.
    partition
        Partition of the state that all this comes from.
    """

    names: list[str]
    sources: list[str]
    ticks: Array
    tick_of: Array
    bars: Array
    bar_of: Array
    values: Array
    refused: list[Refused]
    duplicates: int
    partition: int

    def stock_prices(self) -> pa.Table:
        """Return the rows of the table ``stock_prices``."""
        rows = self.ticks
        summary = rows["interval_s"] > 0
        known = {seconds: number for number, seconds in enumerate(INTERVAL_NAMES)}
        intervals = np.array([known.get(int(s), 0) for s in rows["interval_s"]], np.int32) if summary.any() else None
        return pa.table(
            {
                "ticker": self._dictionary(self.tick_of, self.names),
                "day": pa.array(rows["day"]).cast(pa.date32()),
                "bucket": pa.array(np.ascontiguousarray(rows["bucket"])),
                "time_us": pa.array(np.ascontiguousarray(rows["time_us"])),
                "source": self._dictionary(rows["source"].astype(np.int32), self.sources),
                "sequence": pa.array(np.ascontiguousarray(rows["sequence"])),
                "price": pa.array(np.ascontiguousarray(rows["price"])),
                "volume": pa.array(np.ascontiguousarray(rows["volume"]), mask=rows["volume"] == UNKNOWN_VOLUME),
                **{name: _known(rows[name]) for name in ("open", "high", "low")},
                "interval": (
                    pa.nulls(len(rows), pa.dictionary(pa.int32(), pa.string()))
                    if intervals is None
                    else pa.DictionaryArray.from_arrays(
                        pa.array(intervals, mask=~summary), pa.array(list(INTERVAL_NAMES.values()))
                    )
                ),
                "rolling_avg": _known(rows["mean"]),
                "rolling_std": _known(rows["deviation"]),
                "z_score": _known(rows["z_score"]),
                "is_anomaly": pa.array(rows["anomaly"] == 1, mask=rows["anomaly"] < 0),
                "late": pa.array(rows["late"] == 1),
            }
        )

    def anomalies(self, flagged: Array, threshold: float) -> pa.Table:
        """Return the rows of the table ``anomalies``: those at the positions ``flagged``."""
        wanted = ["ticker", "day", "time_us", "source", "sequence", "price", "rolling_avg", "rolling_std", "z_score"]
        rows = self.stock_prices().select(wanted).take(pa.array(flagged))
        return rows.append_column("threshold", pa.array(np.full(len(flagged), threshold)))

    def bar_rows(self, indicators: Sequence[str]) -> pa.Table:
        """Return the rows of the table ``bars``; indicators in warm-up are absent from the map."""
        rows = self.bars
        day = rows["day"].astype("datetime64[D]")
        return pa.table(
            {
                "ticker": self._dictionary(self.bar_of, self.names),
                "interval": pa.array([INTERVAL_NAMES[int(s)] for s in rows["interval_s"]]),
                "year": pa.array((day.astype("datetime64[Y]").astype(np.int32) + 1970).astype(np.int32)),
                "time_us": pa.array(np.ascontiguousarray(rows["start_us"])),
                "day": pa.array(rows["day"]).cast(pa.date32()),
                **{name: pa.array(np.ascontiguousarray(rows[name])) for name in ("open", "high", "low", "close")},
                "volume": pa.array(np.ascontiguousarray(rows["volume"]), mask=rows["volume"] == UNKNOWN_VOLUME),
                "vwap": _known(vwap(rows)),
                "ticks": pa.array(rows["ticks"].astype(np.int32)),
                "final": pa.array(rows["final"] == 1),
                "source": pa.array(["stream"] * len(rows)),
                "indicators": indicator_maps(self.values, indicators, rows["final"] == 1),
            }
        )

    @staticmethod
    def _dictionary(codes: Array, names: Sequence[str]) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(pa.array(np.ascontiguousarray(codes)), pa.array(list(names), pa.string()))


def pack(ticker: str, done: Effects, late: Sequence[Refused]) -> bytes:
    """Return one ticker's effects as one value."""
    about = {"ticker": ticker, "sources": done.sources, "duplicates": done.duplicates}
    return fields.pack(
        {
            "about": json.dumps(about, separators=(",", ":")).encode(),
            "ticks": done.ticks.tobytes(),
            "bars": done.bars.tobytes(),
            "values": done.values.tobytes(),
            "refused": pickle.dumps(list(late)) if late else b"",
        }
    )


def pack_refused(refused: Sequence[Refused]) -> bytes:
    """Return refused records, which have no ticker, as one value."""
    return fields.pack({"refused": pickle.dumps(list(refused))})


def decode(packed: Iterable[bytes], indicators: int, partition: int = 0) -> Batch:
    """Put the effects of many tickers together.

    Parameters
    ----------
    packed
        What ``pack`` and ``pack_refused`` made.
    indicators
        Number of indicators: the width of ``values``.
    partition
        Partition of the state that the effects come from.
    """
    names: list[str] = []
    codes: dict[str, int] = {}
    ticks, tick_of, bars, bar_of, values = [], [], [], [], []
    refused: list[Refused] = []
    duplicates = 0
    for blob in packed:
        part = fields.unpack(blob)
        if part["refused"]:
            # these bytes come from this application's own operator, through Spark, and from nowhere else
            refused += pickle.loads(part["refused"])  # noqa: S301
        if "about" not in part:
            continue
        about = json.loads(part["about"])
        number = len(names)
        names.append(about["ticker"])
        duplicates += about["duplicates"]
        mine = np.frombuffer(part["ticks"], TICK)
        if len(mine):
            place = [codes.setdefault(name, len(codes)) for name in about["sources"]]
            if place != list(range(len(place))):
                mine = mine.copy()
                mine["source"] = np.array(place, np.int16)[mine["source"]]
            ticks.append(mine)
            tick_of.append(np.full(len(mine), number, np.int32))
        built = np.frombuffer(part["bars"], BAR)
        if len(built):
            bars.append(built)
            bar_of.append(np.full(len(built), number, np.int32))
            values.append(np.frombuffer(part["values"]).reshape(len(built), indicators))
    return Batch(
        names=names,
        sources=list(codes),
        ticks=_join(ticks, TICK),
        tick_of=_join(tick_of, np.dtype(np.int32)),
        bars=_join(bars, BAR),
        bar_of=_join(bar_of, np.dtype(np.int32)),
        values=np.concatenate(values) if values else np.empty((0, indicators)),
        refused=refused,
        duplicates=duplicates,
        partition=partition,
    )


def _join(parts: list[Array], dtype: np.dtype[Any]) -> Array:
    return np.concatenate(parts) if parts else np.empty(0, dtype)


def _known(values: Array) -> pa.Array:
    return pa.array(np.ascontiguousarray(values), mask=np.isnan(values))
