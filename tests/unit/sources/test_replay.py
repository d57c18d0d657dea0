from datetime import UTC, datetime

import numpy as np
import pytest

from tickloom.errors import TickloomError
from tickloom.sources.blocks import PriceBlock, ticks
from tickloom.sources.replay import Replay


@pytest.fixture
def file(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture
def minutes(market_data):
    return sorted((market_data / "us_minute").glob("*.csv"))


def keys(source):
    return [(tick.ticker, tick.time, tick.source, tick.sequence) for tick in ticks(source)]


def test_files_are_merged_in_the_order_of_time(minutes):
    blocks = list(Replay(minutes).blocks())
    times = np.concatenate([block.time_us for block in blocks])
    assert len(times) == 9742
    assert (np.diff(times) >= 0).all()
    assert blocks[0].tickers == ["AAPL", "JPM", "MSFT", "SPY", "TSLA"]
    assert {block.interval for block in blocks} == {"1m"}


def test_a_restart_gives_the_same_records_whatever_the_block_size(minutes):
    whole, cut = Replay(minutes), Replay(minutes, block_rows=97)
    assert keys(whole) == keys(cut)
    assert max(len(block) for block in cut.blocks()) == 97
    assert len(set(keys(whole))) == 9742


def test_a_bar_is_known_at_its_end(minutes):
    first = next(ticks(Replay([minutes[0]])))
    assert first.time == datetime(2019, 2, 11, 14, 31, tzinfo=UTC)
    assert (first.ticker, first.price, first.volume, first.interval) == ("AAPL", 170.97, 619925, "1m")
    assert (first.open, first.high, first.low, first.source, first.sequence) == (171.14, 171.2, 170.7, "replay", 0)


def test_markets_mix(market_data):
    found = list(ticks(Replay([market_data / "casablanca" / "ATW.csv", market_data / "us_daily" / "AAPL.csv"])))
    assert {tick.ticker for tick in found} == {"ATW", "AAPL"}
    assert {tick.time.hour for tick in found if tick.ticker == "ATW"} == {13, 14, 15}


def test_closes_and_ticks_go_out_as_single_prices(file):
    daily = file("AAPL.csv", "Date,Close\n2024-03-07,1\n2024-03-08,2\n")
    traded = file("MSFT.csv", "time,price,size\n2024-03-08 10:00:00,5,\n2024-03-08 10:00:00,6,7\n")
    found = list(ticks(Replay([daily, traded])))
    assert [(t.ticker, t.price, t.volume, t.interval, t.sequence) for t in found] == [
        ("AAPL", 1, None, None, 0), ("MSFT", 5, None, None, 0), ("MSFT", 6, 7, None, 1), ("AAPL", 2, None, None, 1),
    ]  # fmt: skip


def test_two_files_of_a_ticker_share_no_sequence(file):
    files = [
        file("AAPL_1m.csv", "time,open,high,low,close\n2024-03-08 15:59,1,1,1,1\n"),
        file("AAPL_1d.csv", "Date,open,high,low,close\n2024-03-08,2,2,2,2\n"),
    ]
    minute, day = Replay([files[0]], interval="1m"), Replay([files[1]])
    assert keys(minute)[0][1] == keys(day)[0][1]
    both = Replay([files[1], file("AAPL.csv", "Date,open,high,low,close\n2024-03-08,3,3,3,3\n")])
    assert [key[3] for key in keys(both)] == [0, 1]


def test_what_replay_refuses(minutes):
    with pytest.raises(TickloomError, match="at least one file"):
        list(Replay([]).blocks())
    with pytest.raises(TickloomError, match="ticker 'X' is said for 5 files"):
        list(Replay(minutes, ticker="X").blocks())


def test_blocks_check_their_shapes():
    n = np.zeros(2)
    i = n.astype(np.int64)
    with pytest.raises(TickloomError, match=r"price is float64\[1\]; it must be float64\[2\]"):
        PriceBlock(["A"], i.astype(np.int32), i, n[:1], i, "x", i)
    with pytest.raises(TickloomError, match=r"codes is int64\[2\]; it must be int32\[2\]"):
        PriceBlock(["A"], i, i, n, i, "x", i)
    with pytest.raises(TickloomError, match="must be given together"):
        PriceBlock(["A"], i.astype(np.int32), i, n, i, "x", i, "1m")
