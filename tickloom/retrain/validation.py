"""Which tickers can be learned from, and why the others cannot."""

import json
from pathlib import Path

from tickloom.errors import TickloomError
from tickloom.files import write_whole
from tickloom.forecast.history import History
from tickloom.market.sessions import day_of
from tickloom.retrain import extraction, pages, results
from tickloom.retrain.results import Facts

STEP = "validate"
FILE = "validation.json"


def validate(*, extracted: Path, market: str, out: Path, least: int = 750) -> Facts:
    """Judge each ticker's bars; one that cannot be learned from is skipped with the reason, and the others go on.

    Parameters
    ----------
    least
        Sessions that a ticker needs.

    Returns
    -------
    dict
        ``ok`` the tickers that go on, ``skipped`` by ticker the reason, and ``tickers`` what is known of those in
        ``ok``; the same is in ``validation.json``, and in ``report.html`` for people.
    """
    found = results.read(extracted, extraction.STEP)
    tickers: Facts = {}
    skipped: dict[str, str] = {}
    for ticker, told in found["tickers"].items():
        if "skipped" in told:
            skipped[ticker] = told["skipped"]
            continue
        try:
            history = extraction.read(extracted, ticker, market, strict=True)
            if len(history) < least:
                raise TickloomError(f"only {len(history)} sessions; {least} are needed")
        except TickloomError as error:
            skipped[ticker] = str(error)
            continue
        tickers[ticker] = _about(history)
    facts = results.write(
        out, STEP, {"market": market, "least": least, "ok": list(tickers), "skipped": skipped, "tickers": tickers}
    )
    write_whole(out / FILE, json.dumps(facts, indent=1) + "\n")
    pages.write(
        out,
        f"Data of {len(found['tickers'])} tickers on {market}",
        [
            ("Can be learned from", [{"ticker": name, **it} for name, it in facts["tickers"].items()]),
            ("Skipped", [{"ticker": name, "why": why} for name, why in skipped.items()]),
        ],
    )
    return facts


def _about(history: History) -> Facts:
    return {
        "sessions": len(history),
        "first_day": day_of(int(history.day[0])),
        "last_day": day_of(int(history.day[-1])),
        "sha256": history.sha256,
        "close_only": history.close_only,
        "notes": list(history.notes),
    }
