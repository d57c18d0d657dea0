"""``tickloom bench pipeline``: a retraining as a pipeline on this machine, beside the same work called directly."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tickloom.bench.report import Result
from tickloom.errors import TickloomError
from tickloom.retrain.usual import FOLDS, MODELS, TEST

TICKERS = ("AAPL", "MSFT")
ROUNDS = 2
MARKET = "XNYS"
_SESSIONS = 6084
"""Of made prices; as many as the real ones have."""
Say = Callable[[str], None]


def run(progress: Say, *, rounds: int = ROUNDS, options: Mapping[str, Mapping[str, Any]] | None = None) -> Result:
    """Retrain two tickers in turns by the pipeline and directly; ``options`` by model, for a quick look."""
    given = options or {}
    took: dict[str, list[float]] = {"pipeline": [], "direct": []}
    ways = {"pipeline": _as_pipeline, "direct": _directly}
    steps: list[float] = []
    folder = Path(tempfile.mkdtemp(prefix="tickloom-bench-pipeline-"))
    try:
        data, real = _prices(folder / "prices")
        for number in range(rounds):
            for name in list(ways)[:: 1 if number % 2 == 0 else -1]:
                progress(f"round {number + 1} of {rounds}: {name}")
                begun = time.perf_counter()
                done = ways[name](data, folder / f"{name}-{number}", given)
                took[name].append(time.perf_counter() - begun)
                _check(name, done)
                progress(f"  {took[name][-1]:.1f} s")
                steps += [float(it) for it in done.get("step_seconds", ())]
                shutil.rmtree(folder / f"{name}-{number}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    mean = {name: sum(it) / len(it) for name, it in took.items()}
    figures = {
        "local_retrain_s": mean["pipeline"],
        "local_retrain_highest_s": max(took["pipeline"]),
        "steps_of_a_run": len(steps) / rounds,
        "in_steps_s": sum(steps) / rounds,
    }
    return Result(
        "pipeline", figures, {"direct_s": mean["direct"]}, {"overhead": mean["pipeline"] / mean["direct"] - 1},
        _notes(rounds, real),
    )  # fmt: skip


def _as_pipeline(data: Path, home: Path, options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Run the pipeline as a user does, and return what it told."""
    own = [f"--option={model}.{name}={value}" for model, its in options.items() for name, value in its.items()]
    command = [
        sys.executable, "-m", "tickloom.cli.main", "pipelines", "run", "retrain", "--local",
        "--tickers", ",".join(TICKERS), "--data", str(data), "--market", MARKET, "--home", str(home), *own, "--json",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise TickloomError(f"the pipeline ended with {done.returncode}: {said[-1] if said else 'it said nothing'}")
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "step_seconds": _seconds(Path(found["log"]))}


def _directly(data: Path, home: Path, options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Do the same in processes that stay, as many as the pipeline has pairs at work."""
    from pipelines.local import PARALLEL
    from tickloom.forecast.registry import local_uri
    from tickloom.retrain.direct import retrain

    return retrain(
        tickers=TICKERS, market=MARKET, out=home / "out", mlflow=local_uri(home), data=data, options=options,
        jobs=min(PARALLEL, os.cpu_count() or 1), checkpoint=home / "checkpoints",
    )  # fmt: skip


def _seconds(log: Path) -> list[float]:
    """Return how long each step took inside of its process."""
    from pipelines.runtime import MARK

    said = (it.partition(MARK)[2] for it in log.read_text(encoding="utf-8").splitlines() if MARK in it)
    return [told["seconds"] for told in map(json.loads, said) if "seconds" in told]


def _check(name: str, told: Mapping[str, Any]) -> None:
    """Refuse a run that left something out: it would seem fast."""
    ends = {(it["ticker"], it["model"]): it["outcome"] for it in told["rows"]}
    wanted = {(ticker, model) for ticker in TICKERS for model in MODELS}
    if set(ends) != wanted or not set(ends.values()) <= {"registered", "refused"}:
        raise TickloomError(f"bench pipeline, {name}: a ticker and model did not come to its end: {ends}")


def _prices(folder: Path) -> tuple[Path, bool]:
    """Return a folder with each ticker's daily bars, and whether they are real."""
    named = os.environ.get("TICKLOOM_DATA")
    real = Path(named or "") / "us_daily"
    if named and all((real / f"{it}.csv").is_file() for it in TICKERS):
        return real, True
    from tickloom.bench.forecast import made_history
    from tickloom.bench.serving.world import write_prices

    folder.mkdir()
    for seed, ticker in enumerate(TICKERS):
        write_prices(folder / f"{ticker}.csv", made_history(_SESSIONS, 0.0, seed))
    return folder, False


def _notes(rounds: int, real: bool) -> tuple[str, ...]:
    prices = "24 years of daily bars of AAPL and MSFT" if real else f"{_SESSIONS} made daily bars of two tickers"
    return (
        f"{prices}; models {' and '.join(MODELS)} with their usual options, each trained once and judged beside all "
        f"baselines on {FOLDS} folds of {TEST} cutoffs; means of {rounds} runs each, in turns.",
        "`local_retrain_s`: `tickloom pipelines run retrain --local`, from the command to its end. `overhead`: what "
        "that takes more than `tickloom.retrain.direct` with two processes that stay, as a share.",
    )
