from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from tickloom.errors import TickloomError
from tickloom.market.sessions import day_of, session_table
from tickloom.sources.csvfile import is_tick_file, read_bars, read_ticks
from tickloom.sources.csvtext import parse_number

DAILY = "Date,Open,High,Low,Close,Adj Close,Volume\n"


@pytest.fixture
def file(tmp_path):
    def write(text, name="AAPL_daily.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
        return path

    return write


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1e6)


def refused(path, message, **options):
    with pytest.raises(TickloomError, match=message):
        read_bars(path, **options)


# Real files


def real_files():
    names = [f"us_daily/{t}.csv" for t in ("AAPL", "MSFT", "CAT", "CVX")]
    names += [f"us_minute/{t}_1min.csv" for t in ("AAPL", "MSFT", "SPY", "JPM", "TSLA")]
    return [*names, "casablanca/ATW.csv", "casablanca/AKT.csv"]


@pytest.mark.parametrize("name", real_files())
def test_every_real_file_is_read(market_data, name):
    path = market_data / name
    bars = read_bars(path)
    frame = bars.frame
    lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line]
    assert len(frame) == len(lines) - 1
    assert bars.notes == ()
    assert bars.ticker == path.name.split(".")[0].split("_")[0]
    assert bars.market == ("XCAS" if "casablanca" in name else "XNYS")
    assert (bars.interval, bars.label) == (("1m", "end") if "minute" in name else ("1d", "start"))
    assert (np.diff(frame["time_us"]) > 0).all()
    table = session_table(bars.market)
    session = table.locate(frame["time_us"].to_numpy())
    assert (session >= 0).all()
    assert (table.day[session] == frame["day"]).all()
    assert (frame["end_us"] <= table.close_us[session]).all()
    assert str(frame.dtypes.to_dict()["day"]) == "int32"


def test_the_minutes_of_the_vendor_are_ends(market_data):
    frame = read_bars(market_data / "us_minute" / "AAPL_1min.csv").frame
    first, last = frame.iloc[0], frame.iloc[-1]
    assert first["time_us"] == us("2019-02-11T14:30:00+00:00")
    assert last["end_us"] == us("2019-02-15T21:00:00+00:00")
    assert last["close"] == 170.38


def test_a_daily_bar_has_the_hours_of_its_session(market_data):
    frame = read_bars(market_data / "casablanca" / "ATW.csv").frame
    row = frame[frame["day"] == (date(2026, 4, 15) - date(1970, 1, 1)).days].iloc[0]
    assert (row["time_us"], row["end_us"]) == (us("2026-04-15T08:30:00+00:00"), us("2026-04-15T14:30:00+00:00"))
    assert (row["open"], row["high"], row["low"], row["close"], row["volume"]) == (696.10, 708.0, 696.10, 703.0, 49380)
    ramadan = frame[frame["day"] == (date(2026, 3, 10) - date(1970, 1, 1)).days].iloc[0]
    assert ramadan["end_us"] == us("2026-03-10T13:30:00+00:00")


def test_thousands_have_commas(market_data):
    assert read_bars(market_data / "casablanca" / "AKT.csv").frame["close"].iloc[-1] == 1225.0


def test_adj_close_is_not_the_close(market_data):
    assert read_bars(market_data / "us_daily" / "AAPL.csv").frame["close"].iloc[0] == 0.999442


def test_a_wide_file_gives_closes_and_invents_nothing(market_data):
    path = market_data / "casablanca" / "closes_2017_2022.csv"
    bars = read_bars(path, column="Aradei Capital", ticker="ARD")
    assert bars.frame[["open", "high", "low", "volume"]].isna().all().all()
    assert bars.frame["close"].notna().all()
    assert any("open, high, low: left unknown" in note for note in bars.notes)
    full = read_bars(path, column="Attijariwafa", ticker="ATW")
    assert len(full.frame) == 1245
    assert len(bars.frame) < 1245
    refused(path, "no column 'Atijari'; close ones: .*Attijariwafa", column="Atijari", ticker="ATW")
    refused(path, "needs ticker=", column="Attijariwafa")


# Ways of writing


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", "\r"])
def test_encodings_and_line_ends(file, encoding, end):
    text = "Date;Close" + end + "2024-03-07;169.00" + end + "2024-03-08;170.73" + end
    bars = read_bars(file(text, encoding=encoding))
    assert bars.frame["close"].tolist() == [169.0, 170.73]


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("datetime,open,high,low,close,volume", "2019-02-15 16:00:00,2,3,1,2.5,1.2M"),
        ("Date,Time,Open,High,Low,Last,Vol.", "2019-02-15,16:00:00,2,3,1,2.5,1200K"),
        ("timestamp,price_open,price_high,price_low,price_close,Volume", '1550264400,2,3,1,2.5,"1,200,000"'),
        ("timestamp,Open,High,Low,Price,Volume,Change %", "1550264400000,$2,$3,1,2.5,1200000,0.40%"),
        ("time,open,high,low,close,volume", "2019-02-15T21:00:00Z,2,3,1,2.5,1.2e6"),
        ("time,open,high,low,close,volume", "2019-02-15T22:00:00.000+01:00,2,3,1,2.5,1200000"),
        ("time,open,high,low,close,volume", "2/15/2019 16:00,2,3,1,2.5,1200000"),
        ("time,open,high,low,close,volume", "20190215 16:00,2,3,1,2.5,1200000"),
    ],
)
def test_vendors_write_the_same_bar_in_many_ways(file, header, cells):
    bars = read_bars(file(f"{header}\n{cells}\n"), interval="1m", label="end")
    row = bars.frame.iloc[0]
    assert row["end_us"] == us("2019-02-15T21:00:00+00:00")
    assert row["time_us"] == us("2019-02-15T20:59:00+00:00")
    assert row[["open", "high", "low", "close", "volume"]].tolist() == [2, 3, 1, 2.5, 1_200_000]


@pytest.mark.parametrize(("text", "volume"), [("-", None), ("", None), ("49.38K", 49_380), ("0", 0), ("1.1B", 1.1e9)])
def test_volumes(file, text, volume):
    found = read_bars(file(f"Date,Close,Vol.\n2024-03-08,1,{text}\n")).frame["volume"].iloc[0]
    assert np.isnan(found) if volume is None else found == volume


@given(st.floats(0.01, 1e9).map(lambda x: round(x, 2)))
def test_numbers_come_back_however_they_are_written(value):
    assert parse_number(f"{value:,.2f}") == value
    assert parse_number(repr(value)) == value


@pytest.mark.parametrize("text", ["1225,00", "1.2.3", "12,34", "abc", "49.38K", "1_000", "inf", "--1", "1e999"])
def test_text_that_is_no_number(file, text):
    path = file(f'Date,Close\n2024-03-07,1\n2024-03-08,"{text}"\n')
    refused(path, rf"line 3: Close '{text}' is not a number")


@pytest.mark.parametrize(("zone", "count", "line"), [("", 300, 92), ("+09:00", 390, 2), ("Z", 0, 0)])
def test_rows_that_lie_mostly_outside_of_the_sessions_are_doubted(file, zone, count, line):
    begin = datetime(2024, 3, 8, 14, 30, 30)  # in UTC a minute of the session
    stamps = [f"{(begin + timedelta(minutes=i)).isoformat()}{zone}" for i in range(390)]
    path = file("time,close\n" + "".join(f"{stamp},{i}\n" for i, stamp in enumerate(stamps, 100)))
    sentence = (
        f"{count} of 390 rows lie outside the sessions of XNYS, the first in line {line} at {stamps[line - 2]}: "
        "are the time zone and the market right?"
    )
    with structlog.testing.capture_logs() as logs:
        notes = [note for note in read_bars(path).notes if "sessions" in note]
        read_ticks(path)
    assert notes == [sentence][: bool(count)]
    assert [entry["event"] for entry in logs if "sessions" in entry["event"]] == 2 * notes


@pytest.mark.parametrize("read", [read_bars, read_ticks])
def test_a_local_time_that_the_clocks_skip_is_refused(file, read):
    path = file("time,close\n2024-03-08 15:00:00,1\n2024-03-08 15:01:00,\n2024-03-10 02:30:00,2\n")
    if read is read_ticks:
        path = file("time,close\n2024-03-08 15:00:00,1\n2024-03-08 15:01:00,1\n2024-03-10 02:30:00,2\n")
    with pytest.raises(TickloomError, match="line 4: time '2024-03-10 02:30:00' does not exist on the clocks of XNYS"):
        read(path)


def test_day_first_is_found_in_a_later_line(file):
    frame = read_bars(file("Date,Close\n03/04/2024,1\n05/04/2024,2\n15/04/2024,3\n")).frame
    assert [day_of(d) for d in frame["day"]] == [date(2024, 4, 3), date(2024, 4, 5), date(2024, 4, 15)]


def test_month_first_is_found_in_a_later_line(file):
    frame = read_bars(file("Date,Close\n03/04/2024,1\n03/15/2024,3\n")).frame
    assert [day_of(d) for d in frame["day"]] == [date(2024, 3, 4), date(2024, 3, 15)]


def test_ambiguous_dates_need_a_word(file):
    path = file("Date,Close\n03/04/2024,1\n05/04/2024,3\n")
    refused(
        path,
        "line 2: date '03/04/2024' may be day-first or month-first, .*; say --dates day-first or --dates month-first",
    )
    assert day_of(read_bars(path, dates="day-first").frame["day"].iloc[0]) == date(2024, 4, 3)
    assert day_of(read_bars(path, dates="month-first").frame["day"].iloc[0]) == date(2024, 3, 4)
    refused(path, "--dates 'eu' is unknown", dates="eu")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("13/04/2024,1\n04/15/2024,2", r"line 3: date '04/15/2024' contradicts '13/04/2024' in line 2"),
        ("04/15/2024,1\n\n16/04/2024,2", r"line 4: date '16/04/2024' contradicts '04/15/2024' in line 2"),
        ("04/15/2024,1\n2024-04-16,2", r"line 3: time '2024-04-16' is written in another way than '04/15/2024'"),
        ("2024-04-15,1\n2024-04-16 10:00,2", r"line 3: .* is written in another way"),
        ("2024-04-15 10:00Z,1\n2024-04-15 10:01,2", r"line 3: .* is written in another way"),
        ("1713175200,1\n1713175260000,2", r"line 3: .* count in different units"),
        ("2024-04-31,1", r"line 2: time '2024-04-31': day"),
        ("2024-04-15,1\nsoon,2", r"line 3: time 'soon' is not understood"),
        ("soon,1", r"line 2: time 'soon' is not understood"),
        ("2024-04-15 25:00,1", r"line 2: time '2024-04-15 25:00': the time of day is out of range"),
        ("2024-04-15,0", r"line 2: Close '0' must be above 0"),
        ("2024-04-15,-1", r"line 2: Close '-1' must be above 0"),
        ("2024-04-15", r"line 2: 1 cells where the header has 2"),
        ("2024-04-15,1,2", r"line 2: 3 cells where the header has 2"),
        ('2024-04-15,"1', r"line 2: unexpected end of data"),
        ("", r"no row below the header"),
    ],
)
def test_bad_lines_are_refused_with_number_and_value(file, lines, message):
    refused(file(f"Date,Close\n{lines}\n"), message, interval=None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "Date,Open,High,Low\n2024-04-15,1,1,1\n",
            r"line 1: no column for close .*columns found: Date, Open, High, Low",
        ),
        ("When,Close\n2024-04-15,1\n", r"line 1: no column for time .*columns found: When, Close"),
        ("", "the file is empty"),
        (b"Date,Close\n2024-04-15,1\n2024-04-16,\xe9\n", r"line 3: byte 0xe9 is not utf-8; save the file as UTF-8"),
        (DAILY + "2024-04-15,5,3,1,2,2,1\n", r"line 2: Open '5' is outside of low and high"),
        (DAILY + "2024-04-15,2,3,1,2,2,-4\n", r"line 2: Volume '-4' must not be negative"),
        (DAILY + "2024-04-15,2,3,1,,2,4\n", r"line 2: the close is missing"),
        (DAILY + "2024-04-15,2,3,1,2,2,4\n2024-04-15,2,3,1,1.5,2,4\n", r"line 3: the time of line 2 .* another close"),
    ],
)
def test_bad_files_are_refused(file, text, message):
    refused(file(text), message)


def test_a_missing_file(tmp_path):
    refused(tmp_path / "AAPL.csv", "No such file")


def test_repeated_rows_are_left_out_and_said(file):
    bars = read_bars(file(DAILY + "2024-04-15,2,3,1,2,2,4\n" * 2))
    assert len(bars.frame) == 1
    assert bars.notes == ("1 repeated rows left out",)


def test_rows_without_prices_are_left_out_and_said(file):
    bars = read_bars(file(DAILY + "2024-04-15,2,3,1,2,2,4\n2024-04-16,null,null,null,null,null,null\n"))
    assert len(bars.frame) == 1
    assert bars.notes == ("1 rows without a price left out",)


def test_a_date_without_session_keeps_the_usual_hours(file):
    bars = read_bars(file("Date,Close\n2024-03-08,1\n2024-03-09,2\n2024-07-04,3\n"))
    assert bars.frame["end_us"].tolist()[1:] == [us("2024-03-09T21:00:00+00:00"), us("2024-07-04T20:00:00+00:00")]
    assert bars.notes[1:] == ("2 dates are no session of XNYS (2024-03-09, 2024-07-04): placed at the usual hours",)


def test_daily_stamps_of_yahoo_are_local_midnights(file):
    bars = read_bars(file("Date,Close\n2024-03-08 00:00:00-05:00,1\n2024-03-11 00:00:00-04:00,2\n"))
    assert bars.interval == "1d"
    assert [day_of(d) for d in bars.frame["day"]] == [date(2024, 3, 8), date(2024, 3, 11)]


def test_weekly_rows_are_not_taken_for_sessions(file):
    path = file("Date,Close\n2024-03-01,1\n2024-03-08,1\n2024-03-15,1\n2024-03-22,1\n")
    refused(path, "rows are 7 days apart")
    assert read_bars(path, interval="1d").interval == "1d"


# Intraday


def minutes(first, last, step):
    stamps = np.arange(np.datetime64(first), np.datetime64(last) + 1, np.timedelta64(step, "m"))
    return "time,close\n" + "".join(f"{stamp},1\n".replace("T", " ") for stamp in stamps)


@pytest.mark.parametrize(
    ("first", "last", "label"),
    [("2024-03-08T09:30", "2024-03-08T15:55", "start"), ("2024-03-08T09:35", "2024-03-08T16:00", "end"),
     ("2024-03-08T09:30", "2024-03-08T16:00", "start"), ("2024-03-08T10:00", "2024-03-08T11:00", "start")],
)  # fmt: skip
def test_label_and_interval(file, first, last, label):
    bars = read_bars(file(minutes(first, last, 5)))
    assert (bars.interval, bars.label) == ("5m", label)
    assert (bars.frame["end_us"] - bars.frame["time_us"]).iloc[:-1].eq(300_000_000).all()


@pytest.mark.parametrize(
    ("label", "stamps"),
    [("start", "2024-03-08 14:30\n2024-03-08 15:30"), ("end", "2024-03-08 15:30\n2024-03-08 16:00")],
)
def test_the_last_hour_of_a_session_is_short(file, label, stamps):
    rows = "\n".join(f"{stamp},1" for stamp in stamps.split("\n"))
    frame = read_bars(file(f"time,close\n{rows}\n"), interval="1h", label=label).frame
    assert frame["time_us"].tolist() == [us("2024-03-08T19:30:00+00:00"), us("2024-03-08T20:30:00+00:00")]
    assert frame["end_us"].tolist() == [us("2024-03-08T20:30:00+00:00"), us("2024-03-08T21:00:00+00:00")]


def test_newest_first_and_oldest_first_are_the_same(file, market_data):
    text = (market_data / "us_minute" / "AAPL_1min.csv").read_text().splitlines()
    turned = read_bars(file("\n".join([text[0], *reversed(text[1:])])))
    assert turned.frame.equals(read_bars(market_data / "us_minute" / "AAPL_1min.csv").frame)


def test_intervals_that_cannot_be_told(file):
    refused(file("time,close\n2024-03-08 10:00,1\n"), "one row does not tell its interval")
    refused(file(minutes("2024-03-08T10:00", "2024-03-08T11:00", 2)), "mostly 120 s apart, which is no known interval")
    refused(file("Date,Close\n2024-03-08,1\n"), "interval cannot be '5m'", interval="5m")


def test_local_times_follow_ramadan(file):
    path = file("time,close\n2024-03-15 10:00,1\n2024-05-15 10:00,2\n", name="ATW.csv")
    ends = read_bars(path, interval="1m").frame["time_us"].tolist()
    assert ends == [us("2024-03-15T10:00:00+00:00"), us("2024-05-15T09:00:00+00:00")]


# Ticks


def test_ticks(file):
    path = file("time,price,size,source,seq\n2024-03-08 10:00:00.5,1.5,10,x,1\n2024-03-08 10:00:00,1.4,-,x,0\n")
    assert is_tick_file(path)
    frame = read_ticks(path)
    assert frame["time_us"].tolist() == [us("2024-03-08T15:00:00+00:00"), us("2024-03-08T15:00:00.500000+00:00")]
    assert frame["price"].tolist() == [1.4, 1.5]
    assert np.isnan(frame["volume"].iloc[0])
    assert frame["sequence"].tolist() == [0, 1]
    assert frame["source"].tolist() == ["x", "x"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2024-03-08 10:00,-1,1,0", "line 2: price '-1' must be above 0"),
        ("2024-03-08 10:00,,1,0", "line 2: price '' must be above 0"),
        ("2024-03-08 10:00,1,-1,0", "line 2: size '-1' must not be negative"),
        ("2024-03-08 10:00,1,1,0.5", "line 2: seq '0.5' must be a whole number"),
        ("2024-03-08,1,1,0", "line 2: time '2024-03-08' has no time of day"),
    ],
)
def test_bad_ticks(file, row, message):
    with pytest.raises(TickloomError, match=message):
        read_ticks(file(f"time,price,size,seq\n{row}\n"))


@given(st.lists(st.tuples(st.integers(0, 10**9), st.floats(0.01, 1e6)), min_size=1, max_size=30))
def test_ticks_come_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("ticks") / "AAPL.csv"
    begin = us("2024-03-08T15:00:00+00:00")
    stamps = [datetime.fromtimestamp((begin + t) / 1e6, UTC).isoformat(timespec="microseconds") for t, _ in rows]
    path.write_text("time,price\n" + "".join(f"{s},{p!r}\n" for s, (_, p) in zip(stamps, rows, strict=True)))
    frame = read_ticks(path)
    assert sorted(zip(frame["time_us"] - begin, frame["price"], strict=True)) == sorted(rows)
    assert (np.diff(frame["time_us"]) >= 0).all()
