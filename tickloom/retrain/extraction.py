"""Bring each ticker's daily bars into one folder, in the form that ``tickloom train --data`` reads."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd

from tickloom.errors import TickloomError
from tickloom.files import whole
from tickloom.forecast import histories
from tickloom.forecast.history import PRICES, History
from tickloom.market.sessions import day_of, session_table
from tickloom.retrain import results
from tickloom.retrain.results import Facts

STEP = "extract"
_ANY_GAP = 1_000_000


def extract(*, tickers: Sequence[str], market: str, out: Path, data: Path | None = None) -> Facts:
    """Write the daily bars of each ticker to ``out/TICKER.csv``.

    Nothing is judged here but what cannot be read at all: gaps and jumps are the next step's.

    Parameters
    ----------
    data
        Folder of CSV files named after their ticker; by default the bars of the store at ``TICKLOOM_CASSANDRA``.

    Returns
    -------
    dict
        ``market``, and by ticker ``sessions``, ``first_day``, ``last_day``, ``sha256`` and ``notes``, what was noticed
        and left out, or ``skipped`` with the reason.

    Raises
    ------
    TickloomError
        No ticker is named, or one twice, the market is unknown, there is no such folder, or the store does not answer.
    """
    if not tickers:
        raise TickloomError("tickers: none is named; name one or more, such as AAPL")
    twice = [it for it in dict.fromkeys(tickers) if list(tickers).count(it) > 1]
    if twice:
        raise TickloomError(f"tickers: {', '.join(twice)} is named twice; name each once")
    session_table(market)  # refuses an unknown one
    found: Facts = {}
    with ExitStack() as closing:
        source = _from_store(market, closing) if data is None else _from_folder(data, market)
        for ticker in tickers:
            try:
                history = source(ticker)
            except TickloomError as error:
                found[ticker] = {"skipped": str(error)}
                continue
            _write(out / f"{ticker}.csv", history)
            found[ticker] = {
                "sessions": len(history),
                "first_day": day_of(int(history.day[0])),
                "last_day": day_of(int(history.day[-1])),
                "sha256": history.sha256,
                "notes": list(history.notes),
            }
    return results.write(out, STEP, {"market": market, "tickers": found})


def read(folder: Path, ticker: str, market: str, *, strict: bool = False) -> History:
    """Return the bars of an extracted ticker.

    Parameters
    ----------
    strict
        Refuse gaps and jumps as ``tickloom train`` does.

    Raises
    ------
    TickloomError
        There is no such file, or its prices cannot be learned from.
    """
    rules = {} if strict else {"most_gap": _ANY_GAP, "allow_jumps": True}
    return histories.from_file(folder / f"{ticker}.csv", market=market, ticker=ticker, **rules)  # type: ignore[arg-type]


def _from_folder(data: Path, market: str) -> Callable[[str], History]:
    if not data.is_dir():
        raise TickloomError(f"data {data}: is no folder; name one with a CSV file for each ticker, such as AAPL.csv")

    def source(ticker: str) -> History:
        if not (data / f"{ticker}.csv").is_file():
            raise TickloomError(f"{data} has no {ticker}.csv")
        return read(data, ticker, market)

    return source


def _from_store(market: str, closing: ExitStack) -> Callable[[str], History]:
    from tickloom.settings import settings
    from tickloom.store.connect import connect

    address = settings().cassandra
    if address is None:
        raise TickloomError("no store is named: set TICKLOOM_CASSANDRA, or give a folder of CSV files (data)")
    session = connect(address, settings().keyspace)
    closing.callback(session.cluster.shutdown)
    return lambda ticker: histories.from_store(session, ticker, market, most_gap=_ANY_GAP, allow_jumps=True)


def _write(path: Path, history: History) -> None:
    """Write what is known: a column that is unknown throughout is left out, which reads as the same."""
    columns = {"Date": history.day.astype("datetime64[D]").astype(str)}
    columns |= {
        name.capitalize(): values
        for name in (*PRICES, "volume")
        if not np.isnan(values := getattr(history, name)).all()
    }
    with whole(path) as part:
        pd.DataFrame(columns).to_csv(part, index=False)
