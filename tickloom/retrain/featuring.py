"""The features of each ticker in a file, as models read them."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from tickloom.errors import TickloomError
from tickloom.files import whole
from tickloom.forecast.features import FeatureFrame, feature_frame
from tickloom.retrain import extraction, results, validation
from tickloom.retrain.results import Facts

STEP = "features"


def features(*, extracted: Path, validated: Path, market: str, out: Path) -> Facts:
    """Write the features of each valid ticker to ``out/TICKER.parquet``: a row a session, ``day`` first.

    Returns
    -------
    dict
        ``ok``, ``skipped``, and by ticker: ``sessions``; ``ready``, the first session with all features; ``names``;
        ``sha256`` of the features, ``data_sha256`` of the bars; and what the validation said, as ``quality``.
    """
    valid = results.read(validated, validation.STEP)
    tickers: Facts = {}
    skipped = dict(valid["skipped"])
    for ticker in valid["ok"]:
        history = extraction.read(extracted, ticker, market)
        try:
            if history.sha256 != valid["tickers"][ticker]["sha256"]:
                raise TickloomError(f"{ticker}: {extracted} holds other bars than were validated; validate these")
            frame = feature_frame(history)
            frame.refuse_unknown()
        except TickloomError as error:
            skipped[ticker] = str(error)
            continue
        _write(out / f"{ticker}.parquet", frame)
        tickers[ticker] = {
            "sessions": len(frame),
            "ready": frame.ready,
            "names": frame.names,
            "version": frame.version,
            "sha256": digest(frame),
            "data_sha256": history.sha256,
            "quality": valid["tickers"][ticker],
        }
    return results.write(out, STEP, {"market": market, "ok": list(tickers), "skipped": skipped, "tickers": tickers})


def digest(frame: FeatureFrame) -> str:
    """Return the SHA-256 of names, days and values."""
    found = hashlib.sha256("\0".join((str(frame.version), *frame.names)).encode())
    for values in (frame.history.day, frame.values):
        found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()


def _write(path: Path, frame: FeatureFrame) -> None:
    table = pd.DataFrame(frame.values, columns=pd.Index(frame.names))
    table.insert(0, "day", frame.history.day.astype("datetime64[D]").astype("datetime64[s]"))
    with whole(path) as part:
        table.to_parquet(part, index=False)
