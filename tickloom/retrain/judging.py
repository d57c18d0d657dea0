"""A walk-forward beside the baselines on what is learned from: verdicts, and the errors that intervals are made of."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tickloom.files import write_whole
from tickloom.forecast.accuracy import score
from tickloom.forecast.evaluation import Evaluation
from tickloom.forecast.evaluation import evaluate as judge
from tickloom.forecast.intervals import CALIBRATION, conformal_residuals
from tickloom.forecast.models import BASELINES, REFERENCE
from tickloom.forecast.report import write_report
from tickloom.forecast.walk import walk_forward
from tickloom.retrain import results, tuning
from tickloom.retrain.division import case
from tickloom.retrain.left import ERRORS, EVALUATE, EVALUATION
from tickloom.retrain.results import Facts


def evaluate(
    *,
    ticker: str,
    model: str,
    extracted: Path,
    plan: Path,
    tuned: Path,
    market: str,
    out: Path,
    seed: int = 0,
    jobs: int = 1,
    beside: Sequence[str] = BASELINES,
) -> Facts:
    """Judge a model by walk-forward beside the baselines; the sessions of the gate are not touched.

    Parameters
    ----------
    jobs
        Processes.
    beside
        Models that it is shown beside; the random walk always is. Verdicts are adjusted for how many there are.

    Returns
    -------
    dict
        ``verdict`` one session ahead against the random walk and ``p_worse`` of it; ``ratio`` of its root mean squared
        error to the random walk's; ``scores``, the rows of this model and the random walk; ``models``, verdicts by
        name; ``confusion`` of the direction one session ahead, rows by what came and columns by what was forecast,
        down first; ``intervals``, whether there are errors enough for them; and ``report``, its place in ``out``.

    Notes
    -----
    ``out/evaluation`` holds page and file; ``out/errors`` the errors of the model and of the random walk.
    """
    found = case(ticker, extracted, plan, market)
    options = {model: results.read(tuned, tuning.STEP)["options"]}
    names = list(dict.fromkeys([REFERENCE, *beside, model]))
    more: dict[str, Any] = {"seeds": (seed,), "jobs": jobs, "options": options}
    evaluation: Evaluation | None = None
    if found.plan.folds * found.plan.test <= CALIBRATION:
        long = walk_forward(found.learned, names, found.plan, **more)
        table = score(long).table
    else:
        evaluation = judge([found.history.between(0, found.learn)], names, found.plan, **more)
        long, table = evaluation.long, evaluation.scores.drop(columns="block")
    report = _write(evaluation, model, out)
    rows = json.loads(table[table["model"].isin({model, REFERENCE})].to_json(orient="records"))
    scores = [{key: value for key, value in row.items() if value is not None} for row in rows]
    first = table[table["h"] == 1].set_index("model")
    return results.write(
        out,
        EVALUATE,
        {
            "ticker": ticker,
            "model": model,
            "market": market,
            "horizon": found.horizon,
            "verdict": first.loc[model, "verdict"],
            "p_worse": first.loc[model].get("p_worse"),
            "ratio": first.loc[model, "rmsse"],
            "direction": first.loc[model, "direction"],
            "base_rate": first.loc[model, "base_rate"],
            "cutoffs": int(first["n"].iloc[0]),
            "models": first["verdict"].to_dict(),
            "scores": scores,
            "confusion": _confusion(long, model),
            "intervals": evaluation is not None,
            "report": report,
        },
    )


def _write(evaluation: Evaluation | None, model: str, out: Path) -> str | None:
    if evaluation is None:
        return None
    for name in {model, REFERENCE}:
        conformal_residuals(evaluation.long, name).save(out / ERRORS / name)
    folder = out / EVALUATION
    evaluation.write(folder)
    page = write_report(evaluation, folder)
    write_whole(out / page.name, page.read_text(encoding="utf-8"))
    return str(page.relative_to(out))


def _confusion(long: pd.DataFrame, model: str) -> list[list[int]]:
    one = long[(long["model"] == model) & (long["h"] == 1) & long["y"].notna()]
    came, said = ((one[name] > one["y_cutoff"]).to_numpy(np.int64) for name in ("y", "y_hat"))
    return np.bincount(2 * came + said, minlength=4).reshape(2, 2).tolist()
