"""The table ``closes.csv``, made from the exchanges' calendars."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from tickloom.market.closes import FIRST, LAST, RULES, usual
from tickloom.market.sessions import day_of, days_of, session_table


def render() -> str:
    """Return the table's text: a line for each day whose close is not the usual one, empty where there is none."""
    lines = ["market,day,close"]
    for market, (name, _) in RULES.items():
        table, place = session_table(market, FIRST, LAST), ZoneInfo(name)
        real: dict[date, datetime] = {}
        for day, close in zip(table.day, table.close_us, strict=True):
            if days_of(FIRST) <= day <= days_of(LAST):
                real[day_of(int(day))] = datetime.fromtimestamp(int(close) / 1e6, place)
        for number in range((LAST - FIRST).days + 1):
            day = FIRST + timedelta(days=number)
            at = real[day].time() if day in real else None
            if at != usual(market, day):
                lines.append(f"{market},{day},{'' if at is None else at.strftime('%H:%M')}")
    return "\n".join(lines) + "\n"
