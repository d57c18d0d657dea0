"""``tickloom bench drift``: how often a calm market is retrained on, and how soon a louder one is found."""

import math
import os
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from tickloom.bench.report import Result
from tickloom.experiment.simulation import upper_bound
from tickloom.forecast.workers import workers
from tickloom.monitor.decision import Policy
from tickloom.monitor.simulation import CASES, FORECASTERS, PLANTED, RULES, WITH_FEATURES, Case, Run, counted, simulate
from tickloom.monitor.thresholds import PATHS, YEAR
from tickloom.stream.retraining import COOL_DOWN

RUNS = 400
_SHORT = 60  # sessions
_FRESH = 10_000  # the policy was chosen on runs below
_FEATURES = 8  # the case with features takes so much longer
Say = Callable[[str], None]


def run(progress: Say, *, share: float = 1.0, jobs: int | None = None, paths: int = PATHS) -> Result:
    """Simulate every case; ``share`` of the runs, and fewer ``paths``, for a quick look."""
    began = time.perf_counter()
    runs = max(2, round(RUNS * share))
    plan = [(it, runs) for it in CASES] + [(WITH_FEATURES, max(2, runs // _FEATURES))]
    figures: dict[str, float] = {}
    peers: dict[str, float] = {}
    with workers(jobs or os.cpu_count() or 1) as pool:
        for place, (case, wanted) in enumerate(plan, start=1):
            made: list[Run] = []
            runs_of = pool.map(partial(simulate, paths=paths), [case] * wanted, range(_FRESH, _FRESH + wanted))
            for number, one in enumerate(runs_of, start=1):
                made.append(one)
                if number % 50 == 0 or number == wanted:
                    progress(f"case {place} of {len(plan)}: {case.name}, run {number} of {wanted}")
            figures |= _figures(case, made)
            peers |= _ceiling(case, made)
    first = CASES[0].name
    names = [f"both_{it}" for it in FORECASTERS]
    figures = {
        "false_retrains_per_ticker_year": max(figures[f"false_per_year_{first}_{it}"] for it in names),
        "drift_found_share": min(figures[f"found_share_{first}_{it}"] for it in names),
        "runs": runs,
        "simulation_s": time.perf_counter() - began,
        **figures,
    }
    return Result("drift", figures, peers, {}, _notes(runs))


def _figures(case: Case, made: Sequence[Run]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in made[0].alarms:
        counts = [counted(it.alarms[name], COOL_DOWN) for it in made]
        first = [int(np.argmax(it.planted[name])) + 1 for it in made if it.planted[name].any()]
        place = f"{case.name}_{name}"
        found[f"false_per_year_{place}"] = float(np.mean(counts))
        found[f"found_share_{place}"] = len(first) / len(made)
        if name.startswith(f"{RULES[0]}_"):
            short = [counted(it.alarms[name], _SHORT) for it in made]
            found[f"false_per_year_{place}_cool_down_{_SHORT}"] = float(np.mean(short))
            found[f"false_per_year_se_{place}"] = float(np.std(counts, ddof=1) / math.sqrt(len(made)))
            found[f"found_share_lower_bound_{place}"] = 1 - upper_bound(len(made) - len(first), len(made))
        if first:
            found[f"sessions_to_find_{place}"] = float(np.median(first))
    return found


def _ceiling(case: Case, made: Sequence[Run]) -> dict[str, float]:
    """Return what a watcher finds who knows the law, wrong as often as the rule is, and wrong once a year."""
    if case.freedom:
        return {}  # that watcher knows normal innovations alone
    own = float(np.mean([counted(it.alarms[f"both_{FORECASTERS[0]}"], COOL_DOWN) for it in made]))
    found = {}
    for name, wanted in (("as_often_wrong", own), ("wrong_once_a_year", 1.0)):
        low, high = -5.0, 30.0
        for _ in range(40):
            middle = (low + high) / 2
            rate = np.mean([counted(it.calm_oracle > middle, COOL_DOWN) for it in made])
            low, high = (middle, high) if rate > wanted else (low, middle)
        share = float(np.mean([(it.planted_oracle > high).any() for it in made]))
        found[f"who_knows_the_law_found_share_{case.name}_{name}"] = share
    return found


def _notes(runs: int) -> tuple[str, ...]:
    policy = Policy()
    few = max(2, runs // _FEATURES)
    return (
        "The rule measured first is the default: drift of returns and matured losses agree, each with "
        f"{policy.false_alarms:g} false alarms a year by itself, {policy.cool_down} sessions of cool-down. The worse "
        f"of the two forecasters counts, on `{CASES[0].name}`. `*_cool_down_{_SHORT}` is the same with that cool-down.",
        f"{runs} runs a case ({few} with features): 500 sessions of reference, a year of {YEAR} looks without change; "
        f"from the same reference a quarter without change and then {PLANTED} sessions of returns twice as large. "
        "None is among the runs by which the policy's numbers were chosen.",
        "`garch`: GARCH(1,1) with 0.05 and 0.90, normal; `garch_restless`: 0.10 and 0.85; `garch_t5`: the first with "
        "Student's innovations of 5 degrees of freedom; `garch_features`: the first, with features of closes too.",
        "`who_knows_the_law` sums likelihoods of the true law and the true change, which nobody has, with as many "
        "false alarms as the rule has, or one a year. What it misses cannot be told from clusters of volatility.",
        "Single statistics are at one false alarm a year; ADWIN and Page-Hinkley at the settings of "
        "`tickloom/monitor/online.py`. `any`, `drift` and `loss` are at the default's levels, meant for `both`.",
    )
