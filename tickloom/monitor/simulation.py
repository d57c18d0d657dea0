"""How often a calm market is retrained on, and how soon a market that has become twice as loud is found.

A run is a reference of 500 sessions, then a year without any change, looked at after each session; and, from the same
reference, a quarter without change and 20 sessions whose returns are twice as large. Two forecasters are watched on
each: the random walk, and an autoregression that was fitted to what came before the reference ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tickloom.forecast.features import feature_frame
from tickloom.forecast.history import History
from tickloom.market.sessions import session_table
from tickloom.monitor import oracle
from tickloom.monitor.decision import Policy, decide
from tickloom.monitor.findings import Finding, adjusted, found
from tickloom.monitor.online import DETECTORS, Bools, watched
from tickloom.monitor.resampling import Columns, Floats
from tickloom.monitor.statistics import SLOW, of_losses, of_series
from tickloom.monitor.thresholds import PATHS, YEAR, Looks, Thresholds
from tickloom.monitor.watch import CALENDAR, returns, walked
from tickloom.stream.facts import Rule

REFERENCE, PLANTED, FACTOR = 500, 20, 2.0
FORECASTERS = ("random_walk", "ar1")
RULES: tuple[Rule, ...] = ("both", "any", "drift", "loss")
_BEFORE = 370  # sessions for the slowest feature, for intervals and for the first volatility
_CALM = SLOW
_BURNED = 300
_DAILY = 0.01


@dataclass(frozen=True, slots=True)
class Case:
    """A stationary law of returns: GARCH(1,1) with normal or Student's innovations of unit variance.

    Parameters
    ----------
    name
        Part of a figure's name.
    alpha, beta
        Of the variance equation; they sum to less than 1.
    freedom
        Degrees of freedom; 0 for normal ones.
    features
        Watch the features of closes as well.
    """

    name: str
    alpha: float
    beta: float
    freedom: int = 0
    features: bool = False


CASES = (Case("garch", 0.05, 0.90), Case("garch_restless", 0.10, 0.85), Case("garch_t5", 0.05, 0.90, freedom=5))
WITH_FEATURES = Case("garch_features", 0.05, 0.90, features=True)


@dataclass(frozen=True)
class Run:
    """What happened in one run.

    Attributes
    ----------
    alarms : dict of str to bool[looks]
        By watcher, after each session of the calm year.
    planted : dict of str to bool[20]
        After each session of the louder market.
    calm_oracle, planted_oracle : float64[looks], float64[20]
        The statistic of who knows the law.
    """

    alarms: Mapping[str, Bools]
    planted: Mapping[str, Bools]
    calm_oracle: Floats
    planted_oracle: Floats


def simulate(case: Case, number: int, *, paths: int = PATHS) -> Run:
    """Make the run of that number of a case; the same number gives the same bits.

    A watcher is ``RULE_FORECASTER`` for a rule of the policy, ``STATISTIC`` for one alone, or an online detector.
    """
    rng = np.random.default_rng([number, *case.name.encode()])
    before = _garch(case, _BEFORE + REFERENCE, rng)
    calm = np.concatenate([before.values, _garch(case, YEAR, rng, before.variance).values])
    loud = _garch(case, _CALM + PLANTED, rng, before.variance).values
    loud[_CALM:] *= FACTOR
    planted = np.concatenate([before.values, loud])
    watchers: list[dict[str, Bools]] = []
    kept: dict[str, Thresholds] = {}
    for values, looks in ((calm, YEAR), (planted, PLANTED)):
        seen = _seen(values, case, looks, kept, paths, number)
        watchers.append(_alarms(seen, looks) | _online(values, looks))
    known = [
        oracle.shiryaev_roberts(it, case.alpha, case.beta, FACTOR, len(it) - looks)[-looks:]
        for it, looks in ((calm, YEAR), (planted, PLANTED))
    ]
    return Run(watchers[0], watchers[1], known[0], known[1])


@dataclass(frozen=True)
class _Made:
    values: Floats
    variance: float


def _garch(case: Case, sessions: int, rng: np.random.Generator, variance: float | None = None) -> _Made:
    """Return returns of variance 1, and the variance of the one after them."""
    burned = _BURNED if variance is None else 0
    shocks = rng.standard_normal(sessions + burned)
    if case.freedom:
        shocks = rng.standard_t(case.freedom, sessions + burned) * np.sqrt((case.freedom - 2) / case.freedom)
    now = 1.0 if variance is None else variance
    made = np.empty(sessions + burned)
    for at, shock in enumerate(shocks):
        made[at] = np.sqrt(now) * shock
        now = 1 - case.alpha - case.beta + case.alpha * made[at] ** 2 + case.beta * now
    return _Made(made[burned:], now)


def _seen(
    values: Floats, case: Case, looks: int, kept: dict[str, Thresholds], paths: int, seed: int
) -> dict[str, tuple[Thresholds, Looks]]:
    """Return what is seen of returns, features and both forecasters' losses in the last ``looks`` sessions."""
    n = len(values) + 1
    days = session_table("XNYS").day[-n - YEAR : -YEAR]
    close = 100 * np.exp(np.concatenate([[0.0], np.cumsum(_DAILY * values)]))
    unknown = np.full(n, np.nan)
    history = History("MADE", "XNYS", days, unknown, unknown, unknown, close, unknown)
    end = _BEFORE + REFERENCE  # rows of returns up to the end of the reference
    _, moves = returns(history)
    series: dict[str, Columns] = {"returns": {"value": moves}}
    if case.features:
        frame = feature_frame(history)
        series |= {
            f"feature {name}": {"value": frame.values[1:, at]}
            for at, name in enumerate(frame.names)
            if name not in CALENDAR
        }
    for name in FORECASTERS:
        _, columns = walked(history, _forecast(name, moves, end))
        series[f"losses {name}"] = columns
    found_: dict[str, tuple[Thresholds, Looks]] = {}
    for name, columns in series.items():
        length = len(next(iter(columns.values())))
        after = len(values) - end
        stop = length - after
        if name not in kept:
            reference = {key: it[stop - REFERENCE : stop] for key, it in columns.items()}
            chosen = of_losses() if name.startswith("losses") else of_series()
            kept[name] = Thresholds.of(reference, chosen, paths=paths, seed=seed)
        later = {key: it[length - looks - SLOW + 1 :] for key, it in columns.items()}
        found_[name] = kept[name], kept[name].look(later)
    return found_


def _forecast(name: str, moves: Floats, end: int) -> Floats:
    """Return at each close the log-return to the next that a forecaster expects, float64[moves + 1]."""
    ahead = np.zeros(len(moves) + 1)
    if name == "ar1":
        slope, mean = np.polyfit(moves[: end - 1], moves[1:end], 1)
        ahead[1:] = mean + slope * moves
    return ahead


def _alarms(seen: Mapping[str, tuple[Thresholds, Looks]], looks: int) -> dict[str, Bools]:
    """Return after each session what each rule says for each forecaster, and each statistic alone at 1 a year."""
    policies = {rule: Policy(rule, cool_down=0) for rule in RULES}
    found_ = {f"{rule}_{name}": np.zeros(looks, np.bool_) for rule in RULES for name in FORECASTERS}
    for at in range(looks):
        market = adjusted([_finding(name, *it, at) for name, it in seen.items() if not name.startswith("losses")])
        for name in FORECASTERS:
            every = [*market, _finding(f"losses {name}", *seen[f"losses {name}"], at)]
            for rule, policy in policies.items():
                found_[f"{rule}_{name}"][at] = decide(every, policy).retrain
    for name, (thresholds, its) in seen.items():
        if name in ("returns", f"losses {FORECASTERS[0]}"):
            for at, statistic in enumerate(thresholds.statistics):
                found_[statistic.name] = its.single[:, at] <= ONCE
    return found_


ONCE = 1 - np.exp(-1.0)
"""Share of years with an alarm where they come once a year on average."""


def _finding(name: str, thresholds: Thresholds, its: Looks, at: int) -> Finding:
    kind, _, subject = name.partition(" ")
    family = {"returns": "target", "feature": "features", "losses": "losses"}[kind]
    return found("MADE", family, subject or kind, thresholds, its, at)  # type: ignore[arg-type]


def _online(values: Floats, looks: int) -> dict[str, Bools]:
    """Return after each of the last sessions whether an online detector gave an alarm; losses are the random walk's."""
    end = _BEFORE + REFERENCE
    found_ = {}
    for name, (stream, _) in DETECTORS.items():
        its = np.abs(values) if stream == "losses" else values
        found_[name] = watched(name, its[end - REFERENCE : end], its[end:])[-looks:]
    return found_


def counted(alarms: Bools, cool_down: int) -> int:
    """Return how many alarms there are where each one silences the next ``cool_down`` sessions."""
    count, last = 0, -cool_down
    for at in np.flatnonzero(alarms):
        if at - last >= cool_down:
            count, last = count + 1, int(at)
    return count
