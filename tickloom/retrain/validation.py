"""Which tickers can be learned from, and why the others cannot."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tickloom.errors import TickloomError
from tickloom.files import write_whole
from tickloom.forecast.history import History
from tickloom.market.sessions import day_of, session_table
from tickloom.retrain import age, extraction, pages, results
from tickloom.retrain.results import Facts
from tickloom.retrain.usual import LEAST

STEP = "validate"
FILE = "validation.json"


def validate(*, extracted: Path, market: str, out: Path, least: int = LEAST) -> Facts:
    """Judge each ticker's bars; one that cannot be learned from is skipped with the reason, and the others go on.

    Parameters
    ----------
    least
        Sessions that a ticker needs.

    Returns
    -------
    dict
        ``ok`` the tickers that go on, ``skipped`` by ticker the reason, and ``tickers`` what is known of those in
        ``ok``: among others ``missing_share`` of the exchange's sessions, ``still``, how many of the last closes did
        not move, ``behind``, sessions by which it ends before the newest of these, and ``notes``, such as rows of dates
        without a session, which ``extract`` left out. The same is in
        ``validation.json``, and in ``report.html`` for people, which also names tickers whose prices ended long ago.
    """
    found = results.read(extracted, extraction.STEP)
    skipped: dict[str, str] = {}
    valid: dict[str, History] = {}
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
        valid[ticker] = history
    newest = max((int(it.day[-1]) for it in valid.values()), default=0)
    tickers = {
        ticker: _about(history, newest, found["tickers"][ticker].get("notes", ())) for ticker, history in valid.items()
    }
    facts = results.write(
        out, STEP, {"market": market, "least": least, "ok": list(tickers), "skipped": skipped, "tickers": tickers}
    )
    write_whole(out / FILE, json.dumps(facts, indent=1) + "\n")
    pages.write(
        out,
        f"Data of {len(found['tickers'])} tickers on {market}",
        [
            ("Warnings", [{"warning": it} for it in age.warnings(facts["tickers"], market)]),
            ("Can be learned from", [{"ticker": name, **it} for name, it in facts["tickers"].items()]),
            ("Skipped", [{"ticker": name, "why": why} for name, why in skipped.items()]),
        ],
    )
    return facts


def _about(history: History, newest: int, notes: Sequence[str]) -> Facts:
    """Return what is known of bars that can be learned from; the gate judges how good they are.

    Parameters
    ----------
    notes
        What was noticed when they were extracted.
    """
    sessions = session_table(history.market).day
    at = np.searchsorted(sessions, history.day[[0, -1]])
    moves = np.flatnonzero(np.diff(history.close))
    return {
        "sessions": len(history),
        "first_day": day_of(int(history.day[0])),
        "last_day": day_of(int(history.day[-1])),
        "sha256": history.sha256,
        "close_only": history.close_only,
        "missing_share": 1 - len(history) / int(at[1] - at[0] + 1),
        "still": len(history) - 2 - int(moves[-1]),
        "behind": int(np.searchsorted(sessions, newest) - at[1]),
        "notes": list(dict.fromkeys([*notes, *history.notes])),
    }
