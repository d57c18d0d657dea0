"""Experiments that run, and made-up forecasts of them, for tests of decisions."""

from types import SimpleNamespace

import numpy as np

from tests.unit.experiment.ledgered import CUTOFF, forecast
from tests.unit.experiment.made import experiment
from tickloom.experiment.actions import after
from tickloom.experiment.findings import find
from tickloom.experiment.guardrails import Counts
from tickloom.experiment.modes import initial
from tickloom.experiment.promotion import decide
from tickloom.experiment.scoring import score
from tickloom.experiment.states import Epoch, State, fingerprint
from tickloom.experiment.watching import watched

NOW_US = 1_710_600_000_000_000
MINUTE_US = 60_000_000
ARMS = [{"name": "champion"}, {"name": "lstm"}, {"name": "gbm"}]
VERSIONS = {"champion": 1, "lstm": 2, "gbm": 3}
TICKERS = ("ATW", "IAM")


def state(**spec):
    fields = {"mode": "championChallenger", "arms": ARMS, "tickers": list(TICKERS), **spec}
    made = experiment("one", **fields)
    weights = initial(made.spec)
    return State(
        experiment=made, fingerprint=fingerprint(made), started_us=NOW_US, weights=weights,
        versions={arm: dict.fromkeys(TICKERS, VERSIONS[arm]) for arm in made.arms},
        epochs=(Epoch(weights=weights, since_us=NOW_US, why="the file's"),),
    )  # fmt: skip


def series(sessions, skill, seed=7, arms=("champion", "lstm", "gbm"), tickers=TICKERS, versions=VERSIONS):
    """Return forecasts of some sessions and the closes that came, by ticker.

    ``skill`` is the share of what comes that an arm knows; what else it says is noise of its own.
    """
    rng = np.random.default_rng(seed)
    forecasts, closes = [], {}
    for ticker in tickers:
        returns = 0.012 * rng.standard_t(5, sessions)
        noise = {arm: 0.006 * rng.standard_normal(sessions) for arm in arms}
        price = 100 * np.exp(np.concatenate([[0.0], np.cumsum(returns)]))
        closes[ticker] = {CUTOFF + day: float(price[day]) for day in range(sessions + 1)}
        for day in range(sessions):
            for arm in arms:
                said = skill.get(arm, 0.0) * returns[day] + noise[arm][day]
                half = 0.03
                forecasts.append(
                    forecast(
                        experiment="one", arm=arm, market="XCAS", ticker=ticker, cutoff=CUTOFF + day,
                        ds=CUTOFF + day + 1, model=arm, version=str(versions[arm]), shadow=arm != "champion",
                        y_cutoff=float(price[day]), y_hat=float(price[day] * np.exp(said)),
                        lo_80=float(price[day] * np.exp(said - half)), hi_80=float(price[day] * np.exp(said + half)),
                        lo_95=float(price[day] * np.exp(said - 3 * half)),
                        hi_95=float(price[day] * np.exp(said + 3 * half)),
                        recorded_us=NOW_US - MINUTE_US,
                    )
                )  # fmt: skip
    return forecasts, closes


def named(given, **changes):
    """Return which versions the aliases name: those that were compared, but for the arms in ``changes``."""
    return {arm: {**numbers, **changes.get(arm, {})} for arm, numbers in given.versions.items()}


def findings(given, forecasts, closes, now_us=NOW_US, **moved):
    scores = [
        one
        for ticker, mine in closes.items()
        for one in score([it for it in forecasts if it.ticker == ticker], mine, [], now_us - 1000).scores
    ]
    return find(given, forecasts, scores, named(given, **moved), now_us)


def counts(requests, failures=0, edges=(0.1, 1.0)):
    return Counts(requests, failures, 0, edges, (requests - failures, *[0] * len(edges)))


def look(given, found=None, breaches=(), ratio_p=1.0, now_us=NOW_US, before=None):
    """Return what is decided, and the state after it."""
    if given.is_open:
        actions = decide(given, found, breaches, ratio_p, now_us)
    else:
        actions = watched(given, found, breaches, before, now_us)
    changed = given
    for action in actions:
        changed = after(changed, action, now_us, "judge")
    return SimpleNamespace(kinds=[it.kind for it in actions], actions=actions, state=changed)
