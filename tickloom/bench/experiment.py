"""``tickloom bench experiment``: how often the evidence promotes an equal challenger, and finds a better one."""

import math
import time
from collections.abc import Callable

from tickloom.bench.report import Result
from tickloom.experiment.simulation import CASES, CORRELATION, TICKERS, Rates, simulate
from tickloom.experiment.watch_simulation import CASES as WATCHED
from tickloom.experiment.watch_simulation import simulate_watch

RUNS, SESSIONS, ALPHA, EFFECT = 2000, 250, 0.05, 0.3
WATCH_SESSIONS, WORSE = 125, (0.05, 0.1, 0.2)
Say = Callable[[str], None]


def run(progress: Say, *, runs: int = RUNS) -> Result:
    """Simulate every case; fewer ``runs`` for a quick look."""
    began = time.perf_counter()
    figures: dict[str, float] = {}
    peers: dict[str, float] = {}
    found: list[Rates] = []
    for number, case in enumerate(CASES, start=1):
        progress(f"case {number} of {len(CASES)}: {case.name}")
        one = simulate(case, runs=runs, sessions=SESSIONS, alpha=ALPHA, effect=EFFECT)
        found.append(one)
        figures |= {
            f"type_1_rate_{case.name}": one.type_1,
            f"type_1_upper_bound_{case.name}": one.type_1_upper,
            f"power_{case.name}": one.power,
            f"power_lower_bound_{case.name}": one.power_lower,
            f"sessions_to_find_{case.name}": one.sessions_to_find,
        }
        peers[f"one_look_power_{case.name}"] = one.ceiling
    figures |= _watched(progress, runs)
    figures = {
        "type_1_rate": max(it.type_1 for it in found),
        "type_1_upper_bound": max(it.type_1_upper for it in found),
        "power_h1": min(it.power for it in found if it.case.horizon == 1),
        "power_h5": min(it.power for it in found if it.case.horizon == 5),
        "runs": runs,
        "simulation_s": time.perf_counter() - began,
        **{key: value for key, value in figures.items() if not math.isnan(value)},  # no median where nothing was found
    }
    ratios = {f"power_to_one_look_{it.case.name}": it.power / it.ceiling for it in found if it.ceiling}
    return Result("experiment", figures, peers, ratios, _notes(runs))


def _watched(progress: Say, runs: int) -> dict[str, float]:
    """Return how often a promotion is taken back, of a champion that is as good as the former one and of worse ones."""
    figures: dict[str, float] = {}
    for case in WATCHED:
        progress(f"watched promotions: {case.name}")
        equal = simulate_watch(case, runs=runs, sessions=WATCH_SESSIONS, alpha=ALPHA)
        figures |= {f"false_rollback_rate_{case.name}": equal.found, f"false_rollback_bound_{case.name}": equal.upper}
        for worse in WORSE:
            one = simulate_watch(case, runs=runs, sessions=WATCH_SESSIONS, alpha=ALPHA, worse=worse)
            figures |= {
                f"rollback_power_{worse:.0%}_{case.name}".replace("%", "pct"): one.found,
                f"sessions_to_roll_back_{worse:.0%}_{case.name}".replace("%", "pct"): one.sessions_to_find,
            }
    rates = [value for name, value in figures.items() if name.startswith("false_rollback_rate_")]
    bounds = [value for name, value in figures.items() if name.startswith("false_rollback_bound_")]
    return {"false_rollback_rate": max(rates), "false_rollback_upper_bound": max(bounds), **figures}


def _notes(runs: int) -> tuple[str, ...]:
    return (
        f"Each case: {runs:,} runs of equal arms and as many of a challenger that is better by {EFFECT} standard "
        f"deviations of the session's clustered difference; {SESSIONS} cutoffs, looked at after each; α = {ALPHA}; "
        f"{TICKERS} tickers whose returns correlate by {CORRELATION}. Bounds are one-sided, 95 %.",
        "`type_1_*` and `power_h*` without a case are the worst of all cases.",
        "`one_look_power_*` is that of a test of the mean difference that looks once, at the end, and knows that "
        "mean's law for equal arms; it does not reach 0.8 for `*_h5_constant` either.",
        "`*_constant`: the same arm is above at all cutoffs, so differences 5 sessions ahead are a moving average of "
        "order 4; `*_scattered`: which arm is above is drawn for each ticker; `skewed_*`: exponential returns, "
        "forecasts unequally far from the median, volatility that jumps; `regimes_*`: equal on average over "
        "50 sessions alone.",
        f"`false_rollback_*`, `rollback_power_*`: a promotion is watched for {WATCH_SESSIONS} sessions beside the "
        "former champion; the new one is as good, or its mean absolute error is 5, 10 or 20 % above the former one's. "
        "95 % of closes lie inside the former one's intervals, and the new one's are as wide.",
    )
