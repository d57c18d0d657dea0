"""What is told beside the findings and decides nothing: alarms of online detectors, and how losses compare."""

from collections.abc import Iterable

import numpy as np

from tickloom.experiment.records import Forecast, Score
from tickloom.experiment.scoring import newest
from tickloom.forecast.history import Days, History
from tickloom.market.sessions import day_of
from tickloom.monitor.online import DETECTORS, watched
from tickloom.monitor.resampling import Floats
from tickloom.monitor.spans import Spans
from tickloom.monitor.watch import matured, returns, walked


def alarms(
    history: History, place: Spans, forecasts: Iterable[Forecast] = (), scores: Iterable[Score] = ()
) -> dict[str, str]:
    """Return the detectors that gave an alarm since the reference, each with the session of the last, as ISO dates.

    Each has seen the reference and takes the sessions after it one by one. That is its state: fed the same again, it is
    the same, so nothing has to be kept from one look to the next.

    Parameters
    ----------
    place
        Of the returns.
    forecasts, scores
        Of one arm, one session ahead; without them, losses are the random walk's.
    """
    days, moves = returns(history)
    loss_days, columns = matured(forecasts, scores)
    if not len(loss_days):
        loss_days, columns = walked(history)
    streams = {"returns": (days, moves), "squares": (days, moves), "losses": (loss_days, columns["absolute"])}
    found = {}
    for name, (stream, _) in DETECTORS.items():
        last = _last(name, *streams[stream], place)
        if last is not None:
            found[name] = day_of(last).isoformat()
    return found


def _last(name: str, days: Days, values: Floats, place: Spans) -> int | None:
    """Return the date of a detector's last alarm after the reference, days since 1970."""
    known = np.isfinite(values)
    days, values = days[known], values[known]
    before = days <= place.trained
    reference = values[before][-(place.reference.stop - place.reference.start) :]
    if len(reference) < 2 or not reference.any():
        return None
    seen = days[~before][watched(name, reference, values[~before])]
    return int(seen[-1]) if len(seen) else None


def ratio(scores: Iterable[Score], most: int) -> tuple[float | None, int]:
    """Return the mean absolute error over the random walk's on the newest matured sessions, and how many these are.

    Parameters
    ----------
    scores
        Of one arm, one session ahead.
    most
        Sessions that are looked at.

    Returns
    -------
    (float or None, int)
        None where nothing has matured, or no price moved.
    """
    ordered = sorted(newest(scores).values(), key=lambda it: it.ds)[-most:]
    mine = sum(it.losses["absolute"] for it in ordered)
    naive = sum(it.losses["random_walk_absolute"] for it in ordered)
    return (mine / naive if naive > 0 else None), len(ordered)
