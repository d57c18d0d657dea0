"""Choose a model's options on the sessions before the walk-forward, with Optuna.

Each trial is judged on purged folds: what is fitted ends before what is forecast begins, and between the last session
with a target to learn from and the first cutoff lie as many sessions as a target reaches ahead. After each fold the
worse half of the trials is given up (median rule). A study is one file, and goes on where it was broken off.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tickloom.errors import TickloomError
from tickloom.forecast.features import FeatureFrame
from tickloom.forecast.folds import Fold, Plan
from tickloom.forecast.models import make
from tickloom.forecast.models.networks import Network
from tickloom.retrain import results, spaces
from tickloom.retrain.division import Case, case
from tickloom.retrain.results import Facts
from tickloom.retrain.sharpe import Returns, deflated, expected_maximum
from tickloom.retrain.usual import PATIENCE

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

STEP = "tune"
FOLDS = 3
_LEAST_TEST = 40
_BEFORE_PRUNING = 4
"""Whole trials that the median needs."""


def tune(
    *,
    ticker: str,
    model: str,
    extracted: Path,
    plan: Path,
    market: str,
    out: Path,
    trials: int = 0,
    seed: int = 0,
    storage: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Facts:
    """Choose a model's options; with no trials, or nothing to choose, those that are given.

    Parameters
    ----------
    trials
        How many are to be there in the end, those of earlier calls with the same storage included.
    storage
        SQLite file, or an address that Optuna knows, for a study that outlives the process; by default a file in
        ``out``. A study belongs to one ticker, model, horizon, seed, set of given options and the bars tuned on.
    options
        Of the model, such as ``epochs``; they are not tried. A network's ``patience`` is ``usual.PATIENCE`` where it
        is not among them.

    Returns
    -------
    dict
        ``options``; ``trials``, how many ended, ``pruned`` of them; ``best``, its number; ``value``, its mean squared
        error of log-returns as a multiple of the random walk's; ``sharpes`` of all trials, and ``deflated_sharpe`` of
        the best; ``why`` where nothing was tuned, and ``ended``, in two words, where nothing was asked for.

    Raises
    ------
    TickloomError
        The model or an option is unknown.
    """
    found = case(ticker, extracted, plan, market)
    given = dict(options or {})
    if isinstance(make(model, found.horizon, **given), Network):
        given.setdefault("patience", PATIENCE)
    facts: Facts = {
        "ticker": ticker, "model": model, "market": market, "seed": seed, "options": given, "trials": 0, "pruned": 0,
        "best": None, "value": None, "sharpes": [], "deflated_sharpe": None, "why": "",
    }  # fmt: skip
    folds = folds_of(found, model) if trials else []
    if not trials:
        facts |= {"why": "no trials were asked for", "ended": "not asked for"}
    elif not spaces.usual(model, given):
        facts["why"] = f"{model} has no options to try"
    elif not folds:
        facts["why"] = f"{found.tune - found.frame.ready} sessions before the walk-forward are too few to tune on"
    else:
        place = storage or str((out / "study.db").absolute())
        facts |= _tuned(found, model, folds, given, trials, seed, place, out)
    return results.write(out, STEP, facts)


def folds_of(found: Case, model: str) -> list[Fold]:
    """Return the folds that trials are judged on; none where the sessions before the walk-forward are too few."""
    longest = {"window": spaces.LONGEST_WINDOW} if spaces.tunable(model) else {}
    made = make(model, found.horizon, **longest)
    least = made.least_rows + made.reads_before
    first = found.frame.ready
    test = min(found.plan.test, (found.tune - first - least - found.horizon) // FOLDS)
    if test < _LEAST_TEST:
        return []
    return list(Plan(folds=FOLDS, test=test, horizon=found.horizon).split(found.tune, least, first))


def _tuned(
    found: Case, model: str, folds: list[Fold], given: Mapping[str, Any], trials: int, seed: int, place: str, out: Path
) -> Facts:
    import optuna
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    frame = found.frame.first(found.tune)
    study = _study(found, frame, model, given, seed, place, out)
    for it in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(it.number, state=TrialState.FAIL)  # whoever ran it was killed
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    done = study.get_trials(deepcopy=False, states=ended)
    while len(done) < trials:
        if not done and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            study.enqueue_trial(spaces.usual(model, given))
        # chance depends on how many have ended alone, so that a study that was broken off goes on to the same end
        study.sampler = optuna.samplers.TPESampler(seed=_seed(seed, len(done)), n_startup_trials=_BEFORE_PRUNING)
        trial = study.ask()
        try:
            value = _run(trial, frame, model, folds, given, found.horizon, seed)
        except optuna.TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, value)
        done = study.get_trials(deepcopy=False, states=ended)
    return _facts(study, done, model, given)


def _study(
    found: Case, frame: FeatureFrame, model: str, given: Mapping[str, Any], seed: int, place: str, out: Path
) -> "Study":
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    address = place if "://" in place else f"sqlite:///{Path(place).absolute()}"
    if "://" not in place:
        Path(place).absolute().parent.mkdir(parents=True, exist_ok=True)
    said = [frame.history.sha256, found.horizon, model, sorted(given.items()), seed, found.plan.test]
    key = hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()[:12]
    pruner = optuna.pruners.MedianPruner(n_startup_trials=_BEFORE_PRUNING, n_warmup_steps=0)
    name = f"{found.history.market}.{found.history.ticker}.{model}.{key}"
    try:
        return optuna.create_study(
            storage=address, study_name=name, pruner=pruner, direction="minimize", load_if_exists=True
        )
    except (SQLAlchemyError, OSError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise TickloomError(f"storage {place}: holds no studies ({reason}); name another file, or remove it") from None


def _run(
    trial: "Trial",
    frame: FeatureFrame,
    model: str,
    folds: list[Fold],
    given: Mapping[str, Any],
    horizon: int,
    seed: int,
) -> float:
    """Return the mean over folds and sessions ahead of the squared error, as a multiple of the random walk's."""
    import optuna

    chosen = {**given, **spaces.suggest(trial, model, given)}
    targets = frame.targets(horizon)
    values: list[float] = []
    earned: list[Any] = []
    for step, fold in enumerate(folds):
        made = make(model, horizon, **chosen).fit(frame.between(fold.start, fold.stop), seed=seed)
        moves = made.predict(frame.first(int(fold.rows[-1]) + 1), fold.rows).mean
        came = targets[fold.rows]
        values.append(float((((came - moves) ** 2).mean(0) / (came**2).mean(0)).mean()))
        earned.append(np.sign(moves[:, 0]) * came[:, 0])
        trial.set_user_attr("returns", asdict(Returns.of(np.concatenate(earned))))
        trial.report(float(np.mean(values)), step)
        if step + 1 < len(folds) and trial.should_prune():
            raise optuna.TrialPruned
    return float(np.mean(values))


def _facts(study: "Study", done: "list[FrozenTrial]", model: str, given: Mapping[str, Any]) -> Facts:
    from optuna.trial import TrialState

    best = study.best_trial
    returns = {it.number: Returns(**it.user_attrs["returns"]) for it in done}
    sharpes = [it.sharpe for it in returns.values()]
    return {
        "options": {**given, **{name: best.params[name] for name in spaces.tunable(model) if name in best.params}},
        "trials": len(done),
        "pruned": sum(it.state == TrialState.PRUNED for it in done),
        "best": best.number,
        "value": best.value,
        "sharpes": sharpes,
        "deflated_sharpe": deflated(returns[best.number], expected_maximum(sharpes)),
    }


def _seed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
