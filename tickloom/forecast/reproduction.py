"""Run a published protocol, leaks and all, beside persistence under it and beside a walk-forward without them."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from tickloom.forecast.features import feature_frame
from tickloom.forecast.folds import Plan
from tickloom.forecast.history import Floats, History
from tickloom.forecast.protocols import (
    CLAIMS,
    PERSISTENCE,
    USUAL_CLAIM,
    WINDOWS,
    YEARS,
    Maker,
    figures,
    mid_price,
    smoothed,
    task,
)

Told = tuple[Floats, Floats, Floats]
"""Outcomes, forecasts and the prices known last."""
Report = Callable[[int, int, str], None]
"""Told how many fits are done, of how many, and which was the last."""
WALK = "walk-forward"


def reproduce(
    protocol: str,
    history: History,
    makers: Mapping[str, Maker],
    *,
    plan: Plan | None = None,
    seeds: Sequence[int] = (0,),
    report: Report | None = None,
) -> pd.DataFrame:
    """Run a protocol, persistence under it, and the same models in a walk-forward.

    The walk-forward rolls over as many sessions as the protocol learns from, so that neither has more to learn from.

    Parameters
    ----------
    makers
        Models by name.
    plan
        Folds, test and holdout of the walk-forward, one session ahead; by default 5 folds of 125.
    seeds
        Of each model; figures are means over them.

    Returns
    -------
    DataFrame
        A row for each ``unique_id, model, under`` (the protocol, or ``walk-forward``) with ``n``, the figures of
        ``figures``, ``seeds``, ``r2_spread`` (standard deviation over seeds, NaN with one), and ``beside``: what the
        report states. Figures of a walk-forward are of prices.
    """
    it = task(protocol, history)
    chosen = plan or Plan(horizon=1)
    folds = chosen.folds
    total = len(makers) * len(seeds) * (1 + folds)
    done = 0

    def tell(name: str) -> None:
        nonlocal done
        done += 1
        if report:
            report(done, total, name)

    test, y = it.windows[it.test], it.scaled[it.test]
    last = np.concatenate([it.scaled[it.test.start - 1 : it.test.start], y[:-1]])

    def shown(values: Floats) -> Floats:
        return it.unscaled(values) if it.in_prices else values

    rows = []
    for name, maker in makers.items():
        for seed in seeds:
            model = maker(seed)
            model.fit(it.windows[it.train], it.scaled[it.train], (it.windows[it.validation], it.scaled[it.validation]))
            y_hat = model.predict(test)
            rows.append((name, protocol, (shown(y), shown(y_hat), shown(last))))
            if protocol == "seed-003":
                rows.append((f"{name}, smoothed", protocol, (shown(y), shown(smoothed(y_hat)), shown(last))))
            tell(name)
    rows.append((PERSISTENCE, protocol, (shown(y), shown(last), shown(last))))
    learned = YEARS if protocol == "seed-000" else it.train.stop + it.window
    rows += [(name, WALK, told) for name, told in _walked(protocol, history, makers, chosen, learned, seeds, tell)]
    return _table(rows, protocol, history.ticker, in_prices=it.in_prices)


def _table(rows: Sequence[tuple[str, str, Told]], protocol: str, ticker: str, *, in_prices: bool) -> pd.DataFrame:
    each = pd.DataFrame(
        [{"model": model, "under": under, "n": len(told[0]), **figures(*told)} for model, under, told in rows]
    )
    grouped = each.groupby(["under", "model"], sort=False)
    found = grouped.mean()
    found["seeds"], found["r2_spread"] = grouped.size(), grouped["r2"].std(ddof=1)
    found = found.reset_index().astype({"n": int})
    under = found["under"] == protocol
    if not in_prices:
        found.loc[under, "mape"] = np.nan  # a share of a scaled price, which may be 0, means nothing
    claims = CLAIMS[protocol]
    stated = found["model"].str.removesuffix(", smoothed").map(lambda name: claims.get(name, USUAL_CLAIM[protocol]))
    found["beside"] = stated.where(under, "")
    return found.assign(unique_id=ticker)


def _walked(
    protocol: str,
    history: History,
    makers: Mapping[str, Maker],
    plan: Plan,
    learned: int,
    seeds: Sequence[int],
    tell: Callable[[str], None],
) -> Iterator[tuple[str, Told]]:
    """Yield outcomes, forecasts and last prices of the same models, fitted to nothing after their cutoffs."""
    window = WINDOWS[protocol]
    if protocol == "seed-000":
        frame = feature_frame(history)
        inputs, price, ready = frame.values, history.close, frame.ready
    else:
        price = mid_price(history)
        moves = np.diff(np.log(price), prepend=np.log(price[0]))
        inputs, ready = moves[:, None], 1
    closes = np.log(price)
    found: dict[tuple[str, int], list[Floats]] = {(name, seed): [] for name in makers for seed in seeds}
    rows: list[np.ndarray] = []
    rolling = Plan(plan.folds, plan.test, 1, plan.embargo, "rolling", learned, plan.holdout)
    for fold in rolling.split(len(history), 4 * window, ready):
        cutoffs = np.arange(max(fold.start, ready) + window - 1, fold.stop - 1)
        seen = inputs[fold.start : fold.stop]
        mean, deviation = seen.mean(axis=0), seen.std(axis=0)
        scaled = (inputs - mean) / np.where(deviation > 0, deviation, 1)
        targets = closes[cutoffs + 1] - closes[cutoffs]
        unit = float(targets.std()) or 1.0
        windows = _windows_at(scaled, cutoffs, window)
        kept = len(cutoffs) - max(20, len(cutoffs) // 10)
        validation = (windows[kept:], targets[kept:] / unit)
        for (name, seed), moves_of in found.items():
            model = makers[name](seed)
            # The cutoff before the validation has its target in it: it is left out.
            model.fit(windows[: kept - 1], targets[: kept - 1] / unit, validation)
            moves_of.append(model.predict(_windows_at(scaled, fold.rows, window)) * unit)
            tell(name)
        rows.append(fold.rows)
    at = np.concatenate(rows)
    for (name, _), moved in found.items():
        yield name, (price[at + 1], price[at] * np.exp(np.concatenate(moved)), price[at])
    yield PERSISTENCE, (price[at + 1], price[at], price[at])
    if protocol == "seed-003":
        yield "last close", (price[at + 1], history.close[at], price[at])  # known at the same time as the mean


def _windows_at(values: Floats, rows: np.ndarray, window: int) -> Floats:
    found: Floats = values[rows[:, None] + np.arange(1 - window, 1)]
    return found
