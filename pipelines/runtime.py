"""What a component's process does around its step: paths, the journal, progress, and failures that are results.

Nothing here knows Kubeflow; the functions of ``pipelines.components`` run in pods and processes and call ``attempt``.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from pipelines.interruption import follow
from tickloom.errors import TickloomError
from tickloom.files import write_whole

WORK, RUN = "TICKLOOM_RETRAIN_WORK", "TICKLOOM_RETRAIN_RUN"
"""Variables: a folder that outlives a step's process, and the name of the run."""
LOGIN = "TICKLOOM_CASSANDRA_CREDENTIALS"
MARK = "tickloom-step "
"""Begins a line of standard output that tells of a step; JSON follows."""
RESULT = "result.json"
STEPS = {
    "extract": "extraction", "validate": "validation", "features": "featuring", "split": "division", "tune": "tuning",
    "train": "training", "evaluate": "judging", "compare": "comparison", "gate": "gating", "fair": "gating",
    "register": "registration", "report": "reporting",
}  # fmt: skip
"""Where each step is; ``tickloom.retrain.steps`` has them all, and with them what only some need."""


def attempt(
    step: str, out: str, *, after: Sequence[str] = (), forgive: bool = False, named: str | None = None, **inputs: Any
) -> dict[str, Any]:
    """Do a step and return its facts, which it writes to ``out``; they also go to the journal.

    Who follows the run is told that the step is done, or what its facts have as ``ended``, and their ``remark``.

    Parameters
    ----------
    step
        Name of one of ``STEPS``.
    out
        Folder that the step writes to.
    after
        Folders of earlier steps; where one of them failed, this step is left out and passes on why.
    forgive
        Whether what cannot be (`TickloomError`) is a result, ``{"step", "ticker", "model", "failed": reason}``. Then
        the other tickers and models go on, and nothing is tried again that would fail the same way.
    named
        What the step is called here, where that is not its own name.
    inputs
        What the step takes.
    """
    follow()
    _forget_empty_login()
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    what: dict[str, Any] = {name: inputs[name] for name in ("ticker", "model") if name in inputs}
    called = named or step
    facts = failure(after)
    tell(called, "left out" if facts else "begins", **what)
    begun = time.monotonic()
    if facts is None:
        try:
            facts = dict(getattr(import_module(f"tickloom.retrain.{STEPS[step]}"), step)(**inputs, out=folder))
        except TickloomError as error:
            told = {"seconds": round(time.monotonic() - begun, 3), "why": str(error), "forgiven": forgive}
            tell(called, "failed", **told, **what)
            if not forgive:
                keep(called, {"step": step, **what, "failed": str(error)})
                raise
            facts = {"step": step, **what, "failed": str(error)}
        else:
            said = {"why": facts["remark"]} if facts.get("remark") else {}
            tell(called, facts.get("ended", "done"), seconds=round(time.monotonic() - begun, 3), **said, **what)
    if "failed" in facts:  # else the step itself has written its result
        write_whole(folder / RESULT, json.dumps(facts, indent=1) + "\n")
    keep(called, facts)
    keep_page(facts, folder)
    found: dict[str, Any] = known(facts)
    return found


def _forget_empty_login() -> None:
    """Come to Cassandra without a login where the Secret, which may be missing, has put nothing into its folder."""
    folder = os.environ.get(LOGIN)
    if folder and Path(folder).is_dir() and not any(Path(folder).iterdir()):
        del os.environ[LOGIN]


def failure(folders: Sequence[str]) -> dict[str, Any] | None:
    """Return the first failure among the results of folders, else None."""
    for folder in folders:
        found = result(folder)
        if "failed" in found:
            return found
    return None


def result(folder: str | Path) -> dict[str, Any]:
    """Return the facts of an earlier step."""
    found: dict[str, Any] = json.loads((Path(folder) / RESULT).read_text(encoding="utf-8"))
    return found


def known(value: Any) -> Any:
    """Return nested facts without what is None, which is no parameter of Kubeflow."""
    if isinstance(value, Mapping):
        return {name: known(it) for name, it in value.items() if it is not None}
    if isinstance(value, list | tuple):
        return [known(it) for it in value if it is not None]
    return value


def whole(value: Any) -> Any:
    """Return nested facts with whole numbers as they were before Kubeflow made floats of them."""
    if isinstance(value, Mapping):
        return {name: whole(it) for name, it in value.items()}
    if isinstance(value, list):
        return [whole(it) for it in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def tell(step: str, state: str, **facts: Any) -> None:
    """Write a line for who follows the run."""
    print(MARK + json.dumps({"step": step, "state": state, **facts}), flush=True)


def run_of(run: str) -> str:
    """Return the name of the run: on one machine the one that the user sees, else Kubeflow's number."""
    return os.environ.get(RUN) or run


def journal() -> Path | None:
    """Return the folder in which this run's results are kept, where there is one."""
    work, run = os.environ.get(WORK), os.environ.get(RUN)
    return Path(work) / "runs" / run if work and run else None


def keep(called: str, facts: Mapping[str, Any]) -> None:
    """Put a step's facts into the journal, for the report of a run that does not come to its end."""
    folder = journal()
    if folder is not None:
        name = "-".join([called, *(str(facts[it]) for it in ("ticker", "model") if it in facts)])
        write_whole(folder / f"{name}.json", json.dumps(facts) + "\n")


def page_of(facts: Mapping[str, Any]) -> str:
    """Return the name of a walk-forward's page in the journal."""
    return f"evaluate-{facts['ticker']}-{facts['model']}.html"


def keep_page(facts: Mapping[str, Any], out: str | Path) -> None:
    """Put the page of a walk-forward into the journal, beside the report that names it."""
    folder = journal()
    if folder is not None and facts.get("step") == "evaluate" and facts.get("report"):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(out) / str(facts["report"]), folder / page_of(facts))


def checkpoint(kind: str, *parts: str) -> Path | None:
    """Return a folder that outlives a step's process and this run; None where there is none.

    What lies in it says itself of which data, options and seed it is.
    """
    work = os.environ.get(WORK)
    if not work:
        return None
    folder = Path(work) / kind / "-".join(parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def device(gpus: str) -> str:
    """Return where a network learns: on a GPU where some were asked for and there is one, else on the processor."""
    if gpus in ("", "0"):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    tell("train", "goes on", why=f"{gpus} GPUs were asked for and torch sees none; it learns on the processor")
    return "cpu"


def registry(address: str) -> str:
    """Return the address of MLflow: the one given, else that of the environment.

    Raises
    ------
    TickloomError
        There is neither.
    """
    from tickloom.settings import settings

    found = address or settings().mlflow
    if not found:
        raise TickloomError("no MLflow is named: give the parameter mlflow, or set TICKLOOM_MLFLOW")
    return found


@contextmanager
def told(step: str) -> Iterator[None]:
    """Tell of what cannot be, and keep it in the journal, where no step of a retraining does."""
    try:
        yield
    except TickloomError as error:
        tell(step, "failed", why=str(error))
        keep(step, {"step": step, "failed": str(error)})
        raise


def pairs(
    facts: Mapping[str, Any], models: Sequence[str], options: Mapping[str, Any], digest: str
) -> list[dict[str, str]]:
    """Return each ticker that goes on with each model, the model's options as JSON, and the digest of all bars.

    Parameters
    ----------
    facts
        Of the step ``split``.
    options
        By model.

    Raises
    ------
    TickloomError
        No ticker goes on, no model is named, or one twice.
    """
    if not models:
        raise TickloomError("models: none is named; name one or more, such as ridge")
    if len(set(models)) < len(models):
        raise TickloomError(f"models: {', '.join(models)}: name each once")
    if not facts["ok"]:
        raise TickloomError(f"no ticker can be learned from: {why_skipped(facts)}")
    own = {model: json.dumps(whole(options.get(model, {})), sort_keys=True) for model in models}
    return [
        {"ticker": ticker, "model": model, "options": own[model], "digest": digest}
        for ticker in facts["ok"]
        for model in models
    ]


def why_skipped(facts: Mapping[str, Any]) -> str:
    """Return the reason of each ticker that a step left out."""
    return "; ".join(f"{ticker}: {reason}" for ticker, reason in facts.get("skipped", {}).items())


def measured(facts: Mapping[str, Any], metrics: Any) -> None:
    """Show all numbers of a step's facts in Kubeflow's table, and write them to a file.

    Kubeflow keeps the numbers itself; but without the file ``kfp.local`` never finds the step in its cache.
    """
    found = numbers(facts)
    for name, value in found.items():
        metrics.log_metric(name, value)
    path = Path(metrics.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found) + "\n", encoding="utf-8")


def numbers(facts: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return all numbers of nested facts by their path, for Kubeflow's table of metrics."""
    found: dict[str, float] = {}
    for name, value in facts.items():
        key = f"{prefix}{name}"
        if isinstance(value, int | float):
            found[key] = float(value)
        elif isinstance(value, Mapping):
            found |= numbers(value, f"{key}.")
    return found
