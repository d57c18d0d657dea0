"""Whether a challenger may be registered: each check is a row, and what cannot be checked does not pass."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tickloom.errors import TickloomError
from tickloom.forecast.residuals import FILE as RESIDUALS
from tickloom.forecast.residuals import ConformalResiduals, labels
from tickloom.forecast.versions import CHAMPION
from tickloom.retrain import results
from tickloom.retrain.left import CHALLENGER, COMPARE, ERRORS, EVALUATE, FORECASTS, NAIVE, TRAIN
from tickloom.retrain.limits import Limits
from tickloom.retrain.results import Facts

STEP, FAIR = "gate", "fair"


@dataclass(frozen=True)
class Check:
    """One row.

    Attributes
    ----------
    name : str
    value : float or None
        None where it is not known.
    limit : float or None
        The bound that decides; of two the one that is nearer to the value.
    passed : bool
    why : str
        A sentence.
    wanted : str
        What the value is to be: ``at most 50``, ``0.65 to 0.95``.
    """

    name: str
    value: float | None
    limit: float | None
    passed: bool
    why: str
    wanted: str


def gate(
    *,
    ticker: str,
    model: str,
    compared: Path,
    evaluated: Path,
    trained: Path,
    out: Path,
    limits: Mapping[str, float] | None = None,
) -> Facts:
    """Check a challenger.

    Parameters
    ----------
    limits
        In place of those of ``limits.Limits``.

    Returns
    -------
    dict
        ``passed``; ``checks``, rows of ``name, value, limit, passed, why, wanted``; ``ratio`` and ``folds_ratio``, for
        fairness over tickers; ``cutoffs``, their number, with ``first_cutoff`` and ``last_cutoff``; ``package_sha256``
        of what was checked.

    Raises
    ------
    TickloomError
        The folders are of different models, or a limit is unknown.
    """
    bounds = Limits.of(limits)
    found = results.read(compared, COMPARE)
    judged, learned = results.read(evaluated, EVALUATE), results.read(trained, TRAIN)
    for told, folder in ((found, compared), (judged, evaluated), (learned, trained)):
        if (told["ticker"], told["model"]) != (ticker, model):
            raise TickloomError(
                f"{folder}: is of {told['model']} of {told['ticker']}, not of {model} of {ticker}; name its own folders"
            )
    if found["package_sha256"] != learned["package_sha256"]:
        raise TickloomError(f"{compared}: compared another {model} of {ticker} than {trained} holds; compare it again")
    checks = [
        _quality(found, bounds),
        _at_least("sessions", found["cutoffs"], bounds.sessions, "cutoffs are later than all that both models learned"),
        *_naive(found, judged, bounds),
        _champion(found, bounds),
        *_coverage(found, compared, evaluated, model, bounds),
        _at_most("latency_ms", found["latency_ms"]["median"], bounds.latency_ms, "ms is the median of one forecast"),
        _at_most("megabytes", found["bytes"] / 1e6, bounds.megabytes, "MB is the size of the package"),
    ]
    return results.write(
        out,
        STEP,
        {
            "ticker": ticker,
            "model": model,
            "market": found["market"],
            "passed": all(it.passed for it in checks),
            "checks": [asdict(it) for it in checks],
            "ratio": found["ratios"][NAIVE],
            "folds_ratio": judged["ratio"],
            "champion": found["champion"],
            "cutoffs": found["cutoffs"],
            "first_cutoff": found["first_cutoff"],
            "last_cutoff": found["last_cutoff"],
            "package_sha256": learned["package_sha256"],
            "limits": bounds.as_json(),
        },
    )


def fair(*, gates: Sequence[Mapping[str, Any]], out: Path, limits: Mapping[str, float] | None = None) -> Facts:
    """Check over tickers that no ticker of a model is much worse off than with the random walk.

    An arm is compared over all its tickers together, where one that is badly served is not seen. So a model with such a
    ticker is refused for all of them.

    Parameters
    ----------
    gates
        What ``gate`` returned, of each ticker and model.

    Returns
    -------
    dict
        ``passed`` by model; ``checks``, a row for each model, ``why`` naming the worst ticker; and ``allowed``, a list
        of ``ticker`` and ``model`` that passed the gate and whose model is fair.
    """
    bounds = Limits.of(limits)
    most = f"at most {bounds.fair_ratio:g}"
    checks: list[Check] = []
    for model in dict.fromkeys(str(it["model"]) for it in gates):
        mine = [it for it in gates if it["model"] == model]
        known = [
            (float(it[name]), str(it["ticker"]), where)
            for it in mine
            for name, where in (("ratio", "the gate's cutoffs"), ("folds_ratio", "the walk-forward"))
            if it.get(name) is not None
        ]
        unknown = [str(it["ticker"]) for it in mine if it.get("ratio") is None]
        if unknown:
            why = f"{', '.join(unknown)}: not compared with the random walk"
            checks.append(Check(model, None, bounds.fair_ratio, False, why, most))
            continue
        worst, ticker, where = max(known)
        why = f"{ticker} has {worst:.4f} times the random walk's error over {where}, the most of {len(mine)} tickers"
        checks.append(Check(model, worst, bounds.fair_ratio, worst <= bounds.fair_ratio, why, most))
    passed = {it.name: it.passed for it in checks}
    allowed = [
        {"ticker": it["ticker"], "model": it["model"]} for it in gates if it["passed"] and passed[str(it["model"])]
    ]
    return results.write(out, FAIR, {"passed": passed, "checks": [asdict(it) for it in checks], "allowed": allowed})


def _at_least(name: str, value: float | None, limit: float, what: str) -> Check:
    wanted = f"at least {limit:g}"
    if value is None:
        return Check(name, None, limit, False, "is not known", wanted)
    said = f"{value:.4g} {what}; {wanted} {'are' if value != 1 else 'is'} wanted"
    return Check(name, value, limit, value >= limit, said, wanted)


def _at_most(name: str, value: float | None, limit: float, what: str) -> Check:
    wanted = f"at most {limit:g}"
    if value is None:
        return Check(name, None, limit, False, "is not known", wanted)
    return Check(name, value, limit, value <= limit, f"{value:.4g} {what}; {wanted}", wanted)


def _quality(found: Facts, bounds: Limits) -> Check:
    quality, limits = found["quality"], bounds.as_json()
    defects = [
        f"{what} {quality[name]:.4g} is above {limits[name]:g}"
        for name, what in (
            ("missing_share", "share of missing sessions"),
            ("still", "number of last closes that do not move"),
            ("behind", "number of sessions behind the newest ticker"),
        )
        if quality[name] > limits[name]
    ]
    said = "; ".join([*defects, *quality["notes"]]) or f"{quality['sessions']} sessions, nothing noticed"
    return Check("data_quality", float(len(defects)), 0.0, not defects, said, "no defect")


def _naive(found: Facts, judged: Facts, bounds: Limits) -> Iterator[Check]:
    test = found["tests"][NAIVE]
    yield _test("naive_test", test, bounds.p_worse, "the random walk's")
    yield _at_most("naive_bound", found["ratios"][NAIVE], bounds.ratio, "times the random walk's error")
    p_worse, wanted = judged["p_worse"], "a verdict that is not worse"
    if judged["verdict"] == "worse":
        said = "worse than the random walk in the walk-forward"
        yield Check("walk_forward", p_worse, bounds.p_worse, False, said, wanted)
    else:
        said = f"{judged['verdict']} over {judged['cutoffs']} cutoffs of the walk-forward"
        yield Check("walk_forward", p_worse, bounds.p_worse, True, said, wanted)


def _champion(found: Facts, bounds: Limits) -> Check:
    champion = found["champion"]
    if champion["version"] is None:
        name = "the random walk's, which stands in for a champion"
        return _test("champion_test", found["tests"][CHAMPION], bounds.p_worse, name)
    name = f"the champion's, {champion['model']} (version {champion['version']})"
    if found["tests"][CHAMPION] is None and champion["why"]:
        said = f"{name}: cannot be compared: {champion['why']}"
        return Check("champion_test", None, bounds.p_worse, False, said, _p_value(bounds.p_worse))
    return _test("champion_test", found["tests"][CHAMPION], bounds.p_worse, name)


def _test(name: str, test: Facts | None, level: float, whose: str) -> Check:
    if test is None:
        return Check(name, None, level, False, f"too few cutoffs to compare losses with {whose}", _p_value(level))
    worse = test["p_worse"] < level
    said = "higher than" if worse else "not higher than"
    return Check(
        name, test["p_worse"], level, not worse, f"by a one-sided test losses are {said} {whose}", _p_value(level)
    )


def _p_value(level: float) -> str:
    return f"a p-value of at least {level:g}"


def _coverage(found: Facts, compared: Path, evaluated: Path, model: str, bounds: Limits) -> Iterator[Check]:
    limits = bounds.as_json()
    place = evaluated / ERRORS / model
    table = pd.read_parquet(compared / FORECASTS)
    first = table[table["h"] == 1]
    shares: dict[str, float] = {}
    why = "no cutoff has an outcome"
    if not (place / RESIDUALS).is_file():
        why = "there are no intervals: the walk-forward has too few forecasts; take more or longer folds"
    elif len(first):
        shares = _held(ConformalResiduals.load(place), first)
    for level in (80, 95):
        low, high = limits[f"coverage_{level}_low"], limits[f"coverage_{level}_high"]
        wanted = f"{low:g} to {high:g}"
        share = shares.get(f"{level}")
        if share is None:
            yield Check(f"coverage_{level}", None, low, False, why, wanted)
            continue
        said = f"{share:.1%} of {len(first)} outcomes lie in the {level} % interval; {low:.0%} to {high:.0%} are wanted"
        limit = low if share < level / 100 else high
        yield Check(f"coverage_{level}", share, limit, low <= share <= high, said, wanted)


def _held(errors: ConformalResiduals, first: pd.DataFrame) -> dict[str, float]:
    """Return by level, in percent, the share of outcomes one session ahead inside their interval."""
    moves, came = first[CHALLENGER].to_numpy(), first["y"].to_numpy()
    scale = first["volatility"].to_numpy() if errors.scaled else np.ones(len(first))
    bounds = errors.bounds()[0]
    found = {}
    for at, (low, _) in enumerate(labels(errors.levels)):
        below, above = (moves + scale * bounds[at, side] for side in (0, 1))
        found[low.removeprefix("lo-")] = float(((below <= came) & (came <= above)).mean())
    return found
