import csv
import subprocess
import sys
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloom import settings as settings_module
from tickloom.errors import TickloomError
from tickloom.market import casablanca, hijri
from tickloom.market.calendars import calendar
from tickloom.market.holidays import SHIPPED, read_overrides
from tickloom.market.sessions import days_of, session_table


def sessions(first: str, last: str) -> set[date]:
    return {stamp.date() for stamp in calendar("XCAS").sessions_in_range(first, last)}


@pytest.fixture
def holidays(tmp_path, monkeypatch):
    """A file of TICKLOOM_HOLIDAYS; the calendar is built anew when it is asked for."""
    path = tmp_path / "days.csv"
    monkeypatch.setenv("TICKLOOM_HOLIDAYS", str(path))
    caches = (settings_module.settings, casablanca.overrides)
    for cached in caches:
        cached.cache_clear()
    yield path
    monkeypatch.undo()
    for cached in caches:
        cached.cache_clear()


def test_unknown_market():
    with pytest.raises(TickloomError, match="market 'XPAR' is unknown; known: XCAS, XNYS"):
        calendar("XPAR")


def test_new_york_covers_over_a_century():
    xnys = calendar("XNYS")
    assert (xnys.first_session.year, xnys.last_session.year) == (1990, 2100)
    assert xnys.closes[pd.Timestamp("2023-11-24")] == pd.Timestamp("2023-11-24 18:00", tz="UTC")


@pytest.mark.parametrize(
    "day",
    [
        "2018-01-11",
        "2019-05-01",
        "2019-07-30",
        "2019-08-14",
        "2019-08-20",
        "2020-08-21",
        "2019-11-06",
        "2019-11-18",
        "2024-01-14",
        "2026-01-14",
    ],
)
def test_fixed_holidays_are_closed(day):
    assert date.fromisoformat(day) not in sessions(day, (date.fromisoformat(day) + timedelta(1)).isoformat())


def test_amazigh_new_year_is_a_session_before_2024():
    assert date(2022, 1, 14) in sessions("2022-01-14", "2022-01-17")


@pytest.mark.parametrize("day", [date(2028, 10, 31), date(2025, 10, 31)])
def test_unity_day_is_expected_from_2026(day):
    assert (day in sessions(f"{day:%Y-%m}-01", f"{day:%Y-%m-%d}")) is (day.year < 2026)


# Dates on which Morocco kept the feasts; from announcements, not from the prices.
@pytest.mark.parametrize(
    ("year", "month", "day", "kept"),
    [
        (1444, 10, 1, "2023-04-22"),
        (1444, 12, 10, "2023-06-29"),
        (1445, 1, 1, "2023-07-19"),
        (1445, 9, 1, "2024-03-12"),
        (1445, 10, 1, "2024-04-10"),
        (1445, 12, 10, "2024-06-17"),
        (1446, 9, 1, "2025-03-02"),
    ],
)
def test_islamic_dates(year, month, day, kept):
    assert hijri.month_start(year, month) + timedelta(days=day - 1) == date.fromisoformat(kept)


@given(st.integers(1421, 1510), st.integers(1, 12))
def test_every_islamic_month_has_29_or_30_days(year, month):
    after = (year, month + 1) if month < 12 else (year + 1, 1)
    assert (hijri.month_start(*after) - hijri.month_start(year, month)).days in (29, 30)


def test_the_tz_database_has_the_same_ramadans():
    """Morocco's clocks go back for Ramadan; the database foresees it until 2087 by a computation of its own."""
    table = session_table("XCAS")
    for year in range(1440, 1510):
        first, after = hijri.month_start(year, 9), hijri.month_start(year, 10)
        noons = (np.arange(days_of(first), days_of(after)) * 86_400 + 43_200) * 1_000_000
        weekdays = [(first + timedelta(i)).weekday() < 5 for i in range(len(noons))]
        assert not table.offset_us(noons[weekdays]).any(), f"Ramadan {year}"


def test_new_moons_agree_with_published_ones():
    published = [datetime(2000, 1, 6, 18, 14), datetime(2017, 8, 21, 18, 30), datetime(2024, 4, 8, 18, 21)]
    for known in published:
        k = round((known - published[0]).days / 29.530588861)
        assert abs(hijri.new_moon(k) - known) < timedelta(minutes=3)


def observed(path, form):
    with path.open(encoding="utf-8-sig") as file:
        return {datetime.strptime(row[0], form).date() for row in list(csv.reader(file))[1:]}


@pytest.mark.parametrize(
    ("name", "form"), [("closes_2017_2022.csv", "%d/%m/%Y"), ("ATW.csv", "%m/%d/%Y"), ("AKT.csv", "%m/%d/%Y")]
)
def test_casablanca_agrees_with_every_day_that_traded(market_data, name, form):
    traded = observed(market_data / "casablanca" / name, form)
    assert sessions(str(min(traded)), str(max(traded))) == traded


def test_the_rules_alone_miss_only_the_corrected_days(market_data):
    """So far as prices tell, each shipped correction is needed, and nothing else is wrong."""
    rules = casablanca.rule_holidays()
    wrong = set()
    for name, form in (("closes_2017_2022.csv", "%d/%m/%Y"), ("ATW.csv", "%m/%d/%Y")):
        traded = observed(market_data / "casablanca" / name, form)
        days = (min(traded) + timedelta(i) for i in range((max(traded) - min(traded)).days + 1))
        wrong |= {day for day in days if day.weekday() < 5 and (day in traded) == (day in rules)}
    assert wrong == set(read_overrides(SHIPPED)) - {date(2023, 4, 24)}


def test_offset_and_hours_in_and_out_of_ramadan():
    xcas = calendar("XCAS")
    assert xcas.opens[pd.Timestamp("2024-03-15")] == pd.Timestamp("2024-03-15 10:00", tz="UTC")
    assert xcas.closes[pd.Timestamp("2024-03-15")] == pd.Timestamp("2024-03-15 13:30", tz="UTC")
    assert xcas.opens[pd.Timestamp("2024-05-15")] == pd.Timestamp("2024-05-15 08:30", tz="UTC")
    assert xcas.closes[pd.Timestamp("2024-05-15")] == pd.Timestamp("2024-05-15 14:30", tz="UTC")


def test_the_zone_works_without_the_systems_database():
    code = (
        "import zoneinfo, datetime as d; assert not zoneinfo.TZPATH;"
        "from tickloom.market.casablanca import XCASExchangeCalendar as X;"
        "hours = [d.datetime(2024, m, 15, tzinfo=X.tz).utcoffset() for m in (3, 5)];"
        "assert hours == [d.timedelta(0), d.timedelta(hours=1)], hours"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONTZPATH": "", "PATH": ""})


def test_a_users_file_opens_closes_and_halves_days(holidays):
    holidays.write_text(
        "\ufeffdate,name,status\n\n# announced\n2019-06-07,worked after all,open\n2024-01-11,open this year,open\n"
        "2024-01-12,storm,closed\n2024-05-15,eve,half\n",
        encoding="utf-8",
    )
    built = casablanca.XCASExchangeCalendar("2019-01-01", "2024-12-31")
    opened = {stamp.date() for stamp in built.sessions}
    assert {date(2019, 6, 7), date(2024, 1, 11)} <= opened
    assert date(2024, 1, 12) not in opened
    assert built.opens[pd.Timestamp("2024-05-15")] == pd.Timestamp("2024-05-15 08:30", tz="UTC")
    assert built.closes[pd.Timestamp("2024-05-15")] == pd.Timestamp("2024-05-15 12:30", tz="UTC")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2024-01-12,storm", r"line 2: '2024-01-12,storm' has 2 columns"),
        ("12/01/2024,storm,closed", r"line 2: date '12/01/2024'"),
        ("2024-01-12,storm,shut", r"line 2: status 'shut' is unknown; known: open, closed, half"),
        ("2024-01-12,,closed", r"line 2: the name of 2024-01-12 is empty"),
        ("2024-01-12,a,closed\n2024-01-12,b,open", r"line 3: 2024-01-12 stands twice"),
    ],
)
def test_a_malformed_line_is_refused_with_its_number(tmp_path, line, message):
    path = tmp_path / "days.csv"
    path.write_text("date,name,status\n" + line + "\n")
    with pytest.raises(TickloomError, match=message):
        read_overrides(path)


def test_the_calendar_is_registered_with_the_package():
    import exchange_calendars as xc

    assert xc.get_calendar("XCAS").name == "XCAS"
