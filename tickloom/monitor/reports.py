"""Evidently's pages on data, target and regression quality, for people, and in MLflow beside the findings.

Evidently compares two samples as if their values were independent, which prices' are not: its verdicts alarm far too
often and decide nothing here. It describes.
"""

import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from tickloom.files import write_whole
from tickloom.forecast.plain import plain
from tickloom.forecast.registry import Registry
from tickloom.monitor.decision import Decision
from tickloom.monitor.findings import Finding

EXPERIMENT = "tickloom/drift"
FINDINGS = "findings.json"
DATA, TARGET, REGRESSION = "data", "target", "regression"


def write(
    folder: Path,
    reference: pd.DataFrame,
    recent: pd.DataFrame,
    losses: tuple[pd.DataFrame, pd.DataFrame] | None,
    findings: Sequence[Finding],
    decision: Decision,
) -> list[Path]:
    """Write the pages and their figures as JSON, and the findings, into a folder; return the files.

    Parameters
    ----------
    reference, recent
        Features by session, and ``target``, the log-return; one row a session.
    losses
        ``target`` and ``prediction`` of matured forecasts, of the reference and of the newest sessions.
    """
    evidently = _evidently()
    columns = [it for it in reference.columns if it != "target"]
    made: dict[str, Any] = {}
    if columns:
        numbers = evidently.DataDefinition(numerical_columns=columns)
        presets = [
            evidently.presets.DataDriftPreset(columns=columns),
            evidently.presets.DataSummaryPreset(columns=columns),
        ]
        made[DATA] = _run(evidently, presets, numbers, recent[columns], reference[columns])
    target = evidently.DataDefinition(numerical_columns=["target"])
    presets = [
        evidently.presets.DataDriftPreset(columns=["target"]),
        evidently.presets.DataSummaryPreset(columns=["target"]),
    ]
    made[TARGET] = _run(evidently, presets, target, recent[["target"]], reference[["target"]])
    if losses is not None:
        both = evidently.DataDefinition(
            numerical_columns=["target", "prediction"],
            regression=[evidently.Regression(target="target", prediction="prediction")],
        )
        made[REGRESSION] = _run(evidently, [evidently.presets.RegressionPreset()], both, losses[1], losses[0])
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, snapshot in made.items():
        page, figures = folder / f"{name}.html", folder / f"{name}.json"
        snapshot.save_html(str(page))
        write_whole(figures, json.dumps(plain(json.loads(snapshot.json())), indent=1, allow_nan=False) + "\n")
        files += [page, figures]
    write_whole(folder / FINDINGS, json.dumps(told(findings, decision), indent=1, allow_nan=False) + "\n")
    return [*files, folder / FINDINGS]


def told(findings: Sequence[Finding], decision: Decision) -> dict[str, Any]:
    """Return findings and decision as JSON has them."""
    found: dict[str, Any] = plain({"findings": [asdict(it) for it in findings], "decision": asdict(decision)})
    return found


def log(
    registry: Registry, ticker: str, market: str, folder: Path, findings: Sequence[Finding], decision: Decision
) -> str:
    """Write what a look found, and the files of a folder, into a run of MLflow, and return the run's id.

    Raises
    ------
    TickloomError
        MLflow does not answer.
    """
    metrics = {f"{it.family}.{it.subject}.p".replace(" ", "_"): it.adjusted for it in findings}
    tags = {
        "tickloom.ticker": ticker, "tickloom.market": market, "tickloom.retrain": str(decision.retrain).lower(),
        "mlflow.note.content": decision.why,
    }  # fmt: skip
    return registry.log_folder(EXPERIMENT, f"drift {ticker}", folder, tags=tags, metrics=metrics)


def _run(evidently: Any, presets: list[Any], definition: Any, recent: pd.DataFrame, reference: pd.DataFrame) -> Any:
    def data(it: pd.DataFrame) -> Any:
        return evidently.Dataset.from_pandas(it.reset_index(drop=True), data_definition=definition)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of R² of one value and the like, from parts that a page may lack
        return evidently.Report(presets).run(data(recent), data(reference))


def _evidently() -> Any:
    """Import evidently with its messages to its makers off, and with a name that pandas 3 no longer has.

    Of pandas' own parts it takes ``infer_dtype_from_object``, for a test of column types among its former ones, which
    is imported with everything else and which nothing here runs.
    """
    os.environ["DO_NOT_TRACK"] = "1"
    with _lent("pandas.core.dtypes.common", "infer_dtype_from_object", lambda it: pd.api.types.pandas_dtype(it).type):
        import evidently
        import evidently.presets
    return evidently


@contextmanager
def _lent(module: str, name: str, value: Callable[[Any], Any]) -> Iterator[None]:
    """Give a module a name while something is imported, if it has none of its own."""
    import importlib

    place = importlib.import_module(module)
    if hasattr(place, name):
        yield
        return
    setattr(place, name, value)
    try:
        yield
    finally:
        delattr(place, name)
