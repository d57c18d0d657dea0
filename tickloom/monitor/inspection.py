"""One ticker inspected: its findings, what a policy makes of them, and the tables that a report is drawn from."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from tickloom.experiment.records import Forecast, Score
from tickloom.experiment.scoring import newest
from tickloom.forecast.features import FeatureFrame, feature_frame
from tickloom.forecast.history import History
from tickloom.forecast.plain import plain
from tickloom.market.sessions import day_of
from tickloom.monitor import watch
from tickloom.monitor.decision import Decision, Policy, decide
from tickloom.monitor.findings import Finding, adjusted
from tickloom.monitor.intervals import LEAST, Calibration, Coverage, calibration, coverage, judged, rises
from tickloom.monitor.spans import RECENT, REFERENCE, Spans, spans
from tickloom.monitor.thresholds import PATHS


@dataclass(frozen=True)
class Inspection:
    """What was found of one ticker after its last session.

    Attributes
    ----------
    ticker, market : str
    spans : Spans
        Of the returns.
    losses_of : str
        The arm, or ``random_walk`` where the ledger has none.
    findings : list of Finding
        Adjusted over the ticker's features.
    coverage : list of Coverage
        Of the newest sessions.
    calibration : Calibration or None
        Of the rises that the newest forecasts' intervals imply; None where fewer than 20 of the ledger's have matured.
    decision : Decision
    reference, recent : DataFrame
        Features and ``target``, one row a session.
    losses : (DataFrame, DataFrame)
        ``target`` and ``prediction``, log-returns, of matured forecasts: reference and newest sessions.
    """

    ticker: str
    market: str
    spans: Spans
    losses_of: str
    findings: list[Finding]
    coverage: list[Coverage]
    calibration: Calibration | None
    decision: Decision
    reference: pd.DataFrame
    recent: pd.DataFrame
    losses: tuple[pd.DataFrame, pd.DataFrame]

    def summary(self) -> dict[str, Any]:
        """Return all of it but the tables, as JSON has it."""
        found: dict[str, Any] = plain(
            {
                "ticker": self.ticker, "market": self.market, "losses_of": self.losses_of,
                "reference_until": day_of(self.spans.trained).isoformat(),
                "recent": [day_of(it).isoformat() for it in (self.spans.first, self.spans.last)],
                "findings": [asdict(it) for it in self.findings], "coverage": [asdict(it) for it in self.coverage],
                "calibration": None if self.calibration is None else asdict(self.calibration),
                "decision": asdict(self.decision),
            }
        )  # fmt: skip
        return found


def inspect(
    history: History,
    *,
    arm: str = "",
    forecasts: Sequence[Forecast] = (),
    scores: Sequence[Score] = (),
    policy: Policy | None = None,
    since: int | None = None,
    reference: int = REFERENCE,
    recent: int = RECENT,
    trained: int | None = None,
    features: bool = True,
    paths: int = PATHS,
) -> Inspection:
    """Look at returns, features and losses of one ticker after its last session, and decide.

    Parameters
    ----------
    arm, forecasts, scores
        Of the ledger, one session ahead; without them the losses are those of the random walk over the history.
    since
        Sessions since the last retraining, for the cool-down.
    trained
        The last date that the model learned from, days since 1970: there the reference ends. By default it ends where
        the newest sessions begin.
    features
        Look at features, too: some 20 times as long.
    paths
        Made years behind each threshold.

    Raises
    ------
    TickloomError
        There are too few sessions, or too few forecasts have matured.
    """
    windows: dict[str, Any] = {"reference": reference, "recent": recent, "trained": trained, "paths": paths}
    frame = feature_frame(history)
    found = [watch.of_returns(history, **windows)]
    found += watch.of_features(frame, **windows) if features else []
    days, _ = watch.returns(history)
    place = spans(history.ticker, history.market, days, reference, recent, trained)
    if arm:
        found.append(watch.of_ledger(history.ticker, history.market, arm, forecasts, scores, **windows))
        mine = [it for it in scores if (it.ticker, it.arm) == (history.ticker, arm)]
        held = coverage([it for it in newest(mine).values() if it.ds >= place.first])
        rise = rises([it for it in forecasts if it.arm == arm and it.horizon == 1 and it.ds >= place.first], mine)
        calibrated = calibration(*rise) if len(rise[0]) >= LEAST else None
        losses = _of_ledger([it for it in forecasts if it.arm == arm and it.horizon == 1], mine, place)
    else:
        loss_days, columns = watch.walked(history)
        found.append(watch.look(history.ticker, history.market, "losses", "random_walk", loss_days, columns, **windows))
        new = loss_days >= place.first
        calibrated = None
        held = [judged(columns[f"covered_{100 * it:g}"][new] == 0, it) for it in (0.8, 0.95)]
        losses = _of_walk(history, place)
    findings = adjusted(found)
    before, now = _tables(frame, place)
    decision = decide(findings, policy, since)
    return Inspection(
        history.ticker, history.market, place, arm or "random_walk", findings, held, calibrated, decision, before, now,
        losses,
    )  # fmt: skip


def _tables(frame: FeatureFrame, place: Spans) -> tuple[pd.DataFrame, pd.DataFrame]:
    days, moves = watch.returns(frame.history)
    names = [it for it in frame.names if it not in watch.CALENDAR]
    table = pd.DataFrame(frame.values, frame.history.day, frame.names)[names].reindex(days).assign(target=moves)
    return table.iloc[place.reference], table.iloc[place.recent]


def _of_walk(history: History, place: Spans) -> tuple[pd.DataFrame, pd.DataFrame]:
    _, moves = watch.returns(history)
    table = pd.DataFrame({"target": moves, "prediction": 0.0})
    return table.iloc[place.reference], table.iloc[place.recent]


def _of_ledger(
    forecasts: Sequence[Forecast], scores: Sequence[Score], place: Spans
) -> tuple[pd.DataFrame, pd.DataFrame]:
    known = newest(scores)
    rows = [
        (it.ds, np.log(known[it.key].y / it.y_cutoff), np.log(it.y_hat / it.y_cutoff))
        for it in sorted(forecasts, key=lambda it: it.ds)
        if it.key in known
    ]
    table = pd.DataFrame(rows, columns=["ds", "target", "prediction"]).set_index("ds").astype(np.float64)
    return table[table.index <= place.trained], table[table.index >= place.first]
