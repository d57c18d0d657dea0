"""Which sessions are tuned on, which are learned from, and which are held back for the gate."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tickloom.errors import TickloomError
from tickloom.files import write_whole
from tickloom.forecast.features import FeatureFrame, feature_frame
from tickloom.forecast.folds import Plan
from tickloom.forecast.history import History
from tickloom.forecast.models import BASELINES, make
from tickloom.market.sessions import day_of
from tickloom.retrain import extraction, featuring, results
from tickloom.retrain.results import Facts
from tickloom.retrain.usual import FOLDS, GATE, HORIZON, TEST

STEP = "split"
FILE = "plan.json"
LEAST_GATE = 20
"""Cutoffs without which no two series of losses can be compared."""


def least_cutoffs(horizon: int) -> int:
    """Return how many cutoffs a comparison of losses so many sessions ahead needs."""
    return max(LEAST_GATE, 2 * horizon)


def split(
    *,
    featured: Path,
    market: str,
    out: Path,
    horizon: int = HORIZON,
    folds: int = FOLDS,
    test: int = TEST,
    gate: int = GATE,
) -> Facts:
    """Divide each ticker's sessions, and write ``plan.json``.

    From the end: the last ``gate`` sessions are held back, and nothing is learned, tuned or calibrated with them. The
    sessions before are learned from; on their last ``folds`` × ``test`` cutoffs the walk-forward judges. What the first
    of these folds learns from is all that tuning sees, so that the walk-forward judges options it did not choose.

    Parameters
    ----------
    horizon
        Sessions ahead. Targets are purged by it: no session that is learned from has a target later than the last one.
    test
        Sessions in each fold.
    gate
        Sessions held back; they give ``gate - horizon + 1`` cutoffs, of which the gate by default wants 40.

    Returns
    -------
    dict
        ``ok``, ``skipped``, the numbers above, and by ticker: ``sessions``; ``learn`` and ``tune``, how many of the
        oldest are learned from and tuned on; ``last_learned``, a date; ``folds`` with ``start``, ``stop`` and the first
        and last cutoff; hashes and ``quality``.

    Raises
    ------
    TickloomError
        A number is too small for what it is for.
    """
    if gate - horizon + 1 < LEAST_GATE:
        raise TickloomError(
            f"gate {gate} must be {LEAST_GATE + horizon - 1} or more: {LEAST_GATE} cutoffs with outcomes {horizon} "
            "sessions ahead are the least that can be compared"
        )
    plan = Plan(folds=folds, test=test, horizon=horizon)
    made = [make(name, horizon) for name in BASELINES]
    least = max(it.least_rows + it.reads_before for it in made)
    found = results.read(featured, featuring.STEP)
    tickers: Facts = {}
    skipped = dict(found["skipped"])
    for ticker in found["ok"]:
        told = found["tickers"][ticker]
        learn = told["sessions"] - gate
        try:
            parts = list(plan.split(learn, least, told["ready"]))
        except TickloomError as error:
            skipped[ticker] = f"without the last {gate} sessions, which the gate holds back, {error}"
            continue
        tickers[ticker] = {
            "sessions": told["sessions"],
            "ready": told["ready"],
            "learn": learn,
            "tune": parts[0].stop,
            "folds": [
                {"number": it.number, "start": it.start, "stop": it.stop, "first": it.rows[0], "last": it.rows[-1]}
                for it in parts
            ],
            "sha256": told["data_sha256"],
            "features_sha256": told["sha256"],
            "quality": told["quality"],
        }
    facts = {
        "market": market, "horizon": horizon, "test": test, "gate": gate, "folds": folds,
        "ok": list(tickers), "skipped": skipped, "tickers": tickers,
    }  # fmt: skip
    written = results.write(out, STEP, facts)
    write_whole(out / FILE, json.dumps(written, indent=1) + "\n")
    return written


@dataclass(frozen=True, eq=False)
class Case:
    """One ticker with its share of the plan.

    Attributes
    ----------
    history : History
        All sessions, those of the gate included.
    learn, tune : int
        How many of the oldest sessions are learned from, and tuned on.
    plan : Plan
        Of the walk-forward, on what is learned from.
    quality : dict
        What the validation said of the bars.
    """

    history: History
    learn: int
    tune: int
    plan: Plan
    quality: Facts

    @property
    def horizon(self) -> int:
        """Sessions ahead."""
        return self.plan.horizon

    @cached_property
    def frame(self) -> FeatureFrame:
        """All sessions with their features."""
        return feature_frame(self.history)

    @property
    def learned(self) -> FeatureFrame:
        """The sessions that are learned from."""
        return self.frame.first(self.learn)

    @property
    def last_learned(self) -> str:
        """Date of the last session that is learned from."""
        return day_of(int(self.history.day[self.learn - 1])).isoformat()


def case(ticker: str, extracted: Path, plan: Path, market: str) -> Case:
    """Return a ticker's bars and its share of the plan.

    Parameters
    ----------
    plan
        The folder of the step ``split``, or its ``plan.json``.

    Raises
    ------
    TickloomError
        The ticker was skipped, or the bars are not those that the plan was made for.
    """
    facts = results.read(plan.parent if plan.name == FILE else plan, STEP)
    mine = results.about(ticker, facts, STEP)
    history = extraction.read(extracted, ticker, market)
    if history.sha256 != mine["sha256"]:
        raise TickloomError(
            f"{ticker}: {extracted} holds other bars than the plan was made for; run validate, features and split again"
        )
    made = Plan(folds=facts["folds"], test=facts["test"], horizon=facts["horizon"])
    return Case(history, mine["learn"], mine["tune"], made, mine["quality"])
