"""Bars made up by geometric Brownian motion, for where no real ones can be had."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd

from tickloom.errors import TickloomError
from tickloom.market.intervals import SECONDS, Interval, interval_us
from tickloom.market.sessions import days_of, session_table
from tickloom.sources.csvfile import BarFrame
from tickloom.sources.gbm import Gbm
from tickloom.sources.start import starting_prices

_STEPS_PER_BAR = 12
_DAILY_STEP_S = 300.0


def synthetic_bars(ticker: str, *, market: str, interval: Interval, start: date, end: date, seed: int = 0) -> BarFrame:
    """Return bars of the sessions from ``start`` to the day before ``end``, from the ticker's last real price on.

    Raises
    ------
    TickloomError
        When no real price is known, or the span has no session.
    """
    table = session_table(market, start)
    low, high = np.searchsorted(table.day, [days_of(start), days_of(end)])
    if low == high:
        raise TickloomError(f"{ticker}: {market} has no session from {start} to {end}")
    price = starting_prices([ticker])[ticker]
    source = Gbm(
        tickers=(ticker,),
        start={ticker: price.price},
        market=market,
        seed=seed,
        step_s=_DAILY_STEP_S if interval == "1d" else SECONDS[interval] / _STEPS_PER_BAR,
        begin=datetime.fromtimestamp(int(table.open_us[low]) / 1e6, UTC),
        duration_s=float(np.sum(table.close_us[low:high] - table.open_us[low:high])) / 1e6,
    )
    blocks = list(source.blocks())
    ticks = pd.DataFrame(
        {name: np.concatenate([getattr(block, name) for block in blocks]) for name in ("time_us", "price", "volume")}
    )
    session = table.locate(ticks["time_us"].to_numpy())
    opens, closes = table.open_us[session], table.close_us[session]
    if interval == "1d":
        ticks["bar"], length = opens, closes - opens
    else:
        step = interval_us(interval)
        # The price at the close is the last one of the session's last bar.
        ticks["bar"] = opens + np.minimum(ticks["time_us"] - opens, closes - opens - 1) // step * step
        length = np.minimum(step, closes - ticks["bar"])
    ticks["end"], ticks["day"] = ticks["bar"] + length, table.day[session]
    bars = ticks.groupby("bar", sort=True).agg(
        end_us=("end", "first"),
        day=("day", "first"),
        open=("price", "first"),
        high=("price", "max"),
        low=("price", "min"),
        close=("price", "last"),
        volume=("volume", "sum"),
    )
    frame = bars.reset_index(names="time_us").astype({"volume": np.float64})
    return BarFrame(ticker, market, interval, frame, notes=(f"synthetic, from {price.price:g} ({price.origin})",))
