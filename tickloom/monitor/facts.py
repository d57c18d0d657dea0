"""From what a look has found to the facts that are written down, and from one look to the next."""

from datetime import date

import numpy as np

from tickloom.market.sessions import day_of, days_of, session_table
from tickloom.monitor.inspection import Inspection
from tickloom.stream.facts import LONGEST, Drift, Loss, Ticker


def told(
    found: Inspection,
    before: Ticker | None = None,
    *,
    trained: date | None = None,
    ratio: float | None = None,
    sessions: int = 0,
    alarms: dict[str, str] | None = None,
    note: str = "",
) -> Ticker:
    """Return the facts of a ticker that was looked at.

    Parameters
    ----------
    before
        Facts of the look before: drift and losses that are still found keep their id, which is the session that they
        were found after.
    trained
        Last session that the champion learned from; None where there is no champion.
    ratio, sessions
        Matured losses over the random walk's, and of how many sessions.
    alarms
        Online detectors with the session of their last alarm.
    note
        Said beside the losses, such as whose they are.
    """
    last = day_of(found.spans.last)
    old = before if before is not None else Ticker()
    drift, loss = found.decision.drift, found.decision.loss
    return Ticker(
        looked=last,
        drift=Drift(found=bool(drift), id=_id(bool(drift), old.drift, last), what=drift[:LONGEST]),
        loss=Loss(
            found=bool(loss),
            id=_id(bool(loss), old.loss, last),
            what="; ".join(it for it in (loss, note) if it)[:LONGEST],
            ratio=ratio,
            sessions=sessions,
        ),
        trained=trained,
        sessions=None if trained is None else since(found.market, trained, last),
        alarms={name: date.fromisoformat(day) for name, day in (alarms or {}).items()},
    )


def unseen(problem: str, before: Ticker | None = None) -> Ticker:
    """Return the facts of a ticker that could not be looked at: those of the look before, and why."""
    old = before if before is not None else Ticker()
    return old.model_copy(update={"problem": problem[:LONGEST]})


def since(market: str, trained: date, last: date) -> int:
    """Return how many sessions there were after ``trained`` up to ``last``."""
    days = session_table(market).day
    first, end = np.searchsorted(days, (days_of(trained), days_of(last)), side="right")
    return max(0, int(end - first))


def _id(found: bool, before: Drift | Loss, last: date) -> str:
    if not found:
        return ""
    return before.id if before.found and before.id else last.isoformat()
