"""A history that cannot be learned from is refused with the day and the fix."""

import numpy as np
import pandas as pd
import pytest

from tests.unit.forecast.series import history
from tickloom.errors import TickloomError
from tickloom.forecast.history import History
from tickloom.market.sessions import day_of
from tickloom.sources.csvfile import BarFrame, read_bars


def bars(made, **columns):
    names = ("day", "open", "high", "low", "close", "volume")
    frame = pd.DataFrame({name: getattr(made, name).copy() for name in names})
    for name, values in columns.items():
        frame[name] = values
    return BarFrame(made.ticker, made.market, "1d", frame)


def without(made, rows):
    return BarFrame(made.ticker, made.market, "1d", bars(made).frame.drop(index=rows))


def test_good_bars_are_taken_as_they_are():
    made = history(300)
    found = History.of_bars(bars(made), "file")
    assert np.array_equal(found.close, made.close)
    assert found.notes == ()
    assert found.sha256 == made.sha256


def test_each_value_counts_in_the_hash():
    made, other = history(300), history(300)
    other.volume[7] += 1
    assert made.sha256 != other.sha256


@pytest.mark.parametrize(
    ("ratio", "refused"),
    [(0.5, "a split of 2"), (10.0, "a split of 10"), (1.02 / 3, "a split of 3"), (0.7, None), (0.55, None)],
)
def test_a_split_that_nobody_adjusted_for_is_refused(ratio, refused):
    made = history(300)
    made.close[200:] *= ratio * made.close[199] / made.close[200]
    wanted = bars(made)
    if refused is None:
        assert len(History.of_bars(wanted)) == 300
        return
    day = day_of(int(made.day[200]))
    with pytest.raises(TickloomError, match=rf"on {day}, which looks like {refused} "):
        History.of_bars(wanted)
    assert len(History.of_bars(wanted, allow_jumps=True)) == 300


def test_gaps_are_told_and_long_ones_refused():
    made = history(300)
    few = without(made, range(100, 105))
    assert History.of_bars(few).notes == ("5 sessions are missing, at most 5 in a row",)
    many = without(made, range(100, 130))
    with pytest.raises(TickloomError, match=f"30 sessions are missing between {day_of(int(made.day[99]))} and"):
        History.of_bars(many)
    assert len(History.of_bars(many, most_gap=30)) == 270


def test_rows_of_days_on_which_the_exchange_is_closed_are_left_out_and_named():
    made = history(300)
    whole = bars(made)
    saturday = whole.frame.iloc[[100]].assign(day=next(int(it) for it in made.day if (it + 3) % 7 == 4) + 1)
    frame = pd.concat([whole.frame, saturday]).sort_values("day", ignore_index=True)
    day = day_of(int(saturday["day"].iloc[0]))
    assert day.isoweekday() == 6
    note = f"1 date is no session of {made.market} ({day}): placed at the usual hours"
    found = History.of_bars(BarFrame(made.ticker, made.market, "1d", frame, notes=(note,)))
    assert found.notes == (f"1 row of a date without a session of {made.market} ({day}): left out",)
    assert found.sha256 == made.sha256


def test_prices_that_cannot_be():
    made = history(300)
    with pytest.raises(TickloomError, match=r"all 300 closes are 7; a price that never moves"):
        History.of_bars(bars(made, close=7.0))
    wrong = made.low.copy()
    wrong[3] = -1
    with pytest.raises(TickloomError, match=rf"low -1 on {day_of(int(made.day[3]))} is not above 0"):
        History.of_bars(bars(made, low=wrong))
    with pytest.raises(TickloomError, match="no session has a close"):
        History.of_bars(bars(made, close=np.nan))


def test_sessions_without_a_close_are_left_out_and_without_a_range_close_only():
    made = history(300)
    close, high = made.close.copy(), made.high.copy()
    close[5], high[9] = np.nan, np.nan
    found = History.of_bars(bars(made, close=close, high=high))
    assert len(found) == 299
    assert found.close_only
    assert found.notes[0] == "1 sessions without a close are left out"
    assert "open, high and low are not known of every session" in found.notes[-1]


def test_a_price_that_moves_no_more_is_said():
    made = history(300)
    close = made.close.copy()
    close[270:] = close[270]
    assert History.of_bars(bars(made, close=close)).notes == ("the close has not moved in the last 29 sessions",)
    close[290] += 1
    assert History.of_bars(bars(made, close=close)).notes == ()


def test_volumes_that_are_none_are_said():
    made = history(300)
    some = made.volume.copy()
    some[7] = np.nan
    assert History.of_bars(bars(made, volume=some)).notes == (
        "the volume of 1 sessions is unknown, so no feature reads volumes",
    )
    found = History.of_bars(bars(made, volume=0.0))
    assert found.notes == ("the volume is 0 throughout and taken as unknown",)
    assert np.isnan(found.volume).all()


def test_intraday_bars_are_refused():
    made = bars(history(300))
    with pytest.raises(TickloomError, match=r"bars of 1m; forecasts need daily bars"):
        History.of_bars(BarFrame("AAPL", "XNYS", "1m", made.frame))


@pytest.mark.parametrize("ticker", ["AAPL", "MSFT", "CAT", "CVX"])
def test_real_crashes_are_no_splits(market_data, ticker):
    path = market_data / "us_daily" / f"{ticker}.csv"
    assert len(History.of_bars(read_bars(path), path.name)) == 6084


def test_closes_alone_of_a_file_of_many(market_data):
    path = market_data / "casablanca" / "closes_2017_2022.csv"
    bars = read_bars(path, column="Attijariwafa", ticker="ATW", market="XCAS", dates="day-first")
    found = History.of_bars(bars, path.name)
    assert found.close_only
    assert len(found) == 1245
