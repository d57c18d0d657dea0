"""Closes without frames: they are the calendars' own."""

from datetime import date, timedelta

import pytest

from tickloom.errors import TickloomError
from tickloom.market import closes as module
from tickloom.market.closes import FIRST, LAST, RULES, SHIPPED, closes, zone
from tickloom.market.closes_page import render
from tickloom.market.sessions import day_of, days_of, session_table
from tickloom.settings import settings


@pytest.mark.parametrize("market", RULES)
def test_every_close_is_the_calendars(market):
    table = session_table(market)
    inside = (table.day >= days_of(FIRST)) & (table.day <= days_of(LAST))
    real = [(day_of(int(day)), us / 1e6) for day, us in zip(table.day[inside], table.close_us[inside], strict=True)]
    assert list(closes(market, FIRST, LAST)) == real


def test_the_table_is_current():
    assert SHIPPED.read_text(encoding="utf-8") == render()


def test_after_the_table_the_rules_of_the_week_hold():
    monday = date(2050, 1, 3)
    assert [day for day, _ in closes("XNYS", monday, monday + timedelta(days=6))] == [
        monday + timedelta(days=number) for number in range(5)
    ]


def test_announced_holidays_correct_casablanca(tmp_path, monkeypatch):
    path = tmp_path / "holidays.csv"
    path.write_text("2026-02-03,Closed for once,closed\n2026-01-11,Open for once,open\n", encoding="utf-8")
    monkeypatch.setenv("TICKLOOM_HOLIDAYS", str(path))
    settings.cache_clear()
    module._exceptions.cache_clear()
    try:
        days = [day for day, _ in closes("XCAS", date(2026, 1, 1), date(2026, 2, 28))]
        assert date(2026, 2, 3) not in days
    finally:
        monkeypatch.undo()
        settings.cache_clear()
        module._exceptions.cache_clear()


def test_an_unknown_exchange_is_named():
    with pytest.raises(TickloomError, match="'XPAR' is unknown; known: XCAS, XNYS"):
        zone("XPAR")
