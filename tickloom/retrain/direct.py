"""All steps in one process and in order, or pairs side by side: a retraining without a pipeline."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tickloom.errors import TickloomError
from tickloom.forecast.workers import workers
from tickloom.retrain import steps
from tickloom.retrain.results import Facts
from tickloom.retrain.usual import FOLDS, GATE, HORIZON, LEAST, MODELS, TEST


def retrain(
    *,
    tickers: Sequence[str],
    market: str,
    out: Path,
    mlflow: str,
    models: Sequence[str] = MODELS,
    data: Path | None = None,
    horizon: int = HORIZON,
    folds: int = FOLDS,
    test: int = TEST,
    gate: int = GATE,
    least: int = LEAST,
    trials: int = 0,
    seed: int = 0,
    jobs: int = 1,
    run: str = "direct",
    arms: Mapping[str, str] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    limits: Mapping[str, float] | None = None,
    checkpoint: Path | None = None,
    device: str = "cpu",
) -> Facts:
    """Retrain models of tickers; what fails of one ticker and model is reported, and the others go on.

    Parameters
    ----------
    jobs
        Processes, each at work on a ticker and model; with one, all is done in this process.
    arms
        By model, the arm whose alias is to name the new version.
    options
        By model.
    out
        Folder; each step has one of its own below it.

    Returns
    -------
    dict
        Of ``report``.
    """
    prepared = {name: out / name for name in ("extract", "validate", "features", "split")}
    parts: list[Mapping[str, Any]] = [
        steps.extract(tickers=tickers, market=market, out=prepared["extract"], data=data),
        steps.validate(extracted=prepared["extract"], market=market, out=prepared["validate"], least=least),
        steps.features(
            extracted=prepared["extract"], validated=prepared["validate"], market=market, out=prepared["features"]
        ),
        steps.split(
            featured=prepared["features"], market=market, out=prepared["split"], horizon=horizon, folds=folds,
            test=test, gate=gate,
        ),
    ]  # fmt: skip
    one = partial(
        _pair, out=out, prepared=prepared, market=market, mlflow=mlflow, trials=trials, seed=seed,
        options=options or {}, limits=limits, checkpoint=checkpoint, device=device,
    )  # fmt: skip
    pairs = [(ticker, model) for ticker in parts[-1]["ok"] for model in models]
    if jobs <= 1 or len(pairs) <= 1:
        found = list(map(one, pairs))
    else:
        with workers(min(jobs, len(pairs))) as pool:
            found = list(pool.map(one, pairs))
    parts += [it for of in found for it in of]
    gates = [it for it in parts if it["step"] == "gate" and "failed" not in it]
    fairness = steps.fair(gates=gates, out=out / "fair", limits=limits)
    parts.append(fairness)
    for of in fairness["allowed"]:
        place = _places(out, of["ticker"], of["model"])
        try:
            parts.append(
                steps.register(
                    **of, trained=place["train"], evaluated=place["evaluate"], gated=place["gate"], market=market,
                    mlflow=mlflow, run=run, out=place["register"], arm=(arms or {}).get(of["model"]),
                )
            )  # fmt: skip
        except TickloomError as error:
            parts.append({"step": "register", **of, "failed": str(error)})
    return steps.report(parts=parts, out=out / "report", about={"run": run})


def _pair(
    pair: tuple[str, str],
    *,
    out: Path,
    prepared: Mapping[str, Path],
    market: str,
    mlflow: str,
    trials: int,
    seed: int,
    options: Mapping[str, Mapping[str, Any]],
    limits: Mapping[str, float] | None,
    checkpoint: Path | None,
    device: str,
) -> list[Facts]:
    """Return what the steps of a ticker and model found, the last its gate, or the step that failed."""
    ticker, model = pair
    of: dict[str, Any] = {"ticker": ticker, "model": model}
    place = _places(out, ticker, model)
    bars: dict[str, Any] = {"extracted": prepared["extract"], "plan": prepared["split"], "market": market}
    learned: dict[str, Any] = {"tuned": place["tune"], "seed": seed}
    parts: list[Facts] = []
    step = ""
    try:
        step = "tune"
        own = options.get(model)
        parts.append(steps.tune(**of, **bars, out=place[step], trials=trials, seed=seed, options=own))
        step = "train"
        parts.append(steps.train(**of, **bars, **learned, out=place[step], checkpoint=checkpoint, device=device))
        step = "evaluate"
        judged = steps.evaluate(**of, **bars, **learned, out=place[step])
        page = f"../{step}/{place[step].name}/{judged['report']}" if judged["report"] else None
        parts.append({**judged, "page": page})
        step = "compare"
        parts.append(steps.compare(**of, **bars, trained=place["train"], out=place[step], mlflow=mlflow))
        step = "gate"
        parts.append(
            steps.gate(
                **of, compared=place["compare"], evaluated=place["evaluate"], trained=place["train"],
                out=place[step], limits=limits,
            )
        )  # fmt: skip
    except TickloomError as error:
        parts.append({"step": step, **of, "failed": str(error)})
    return parts


def _places(out: Path, ticker: str, model: str) -> dict[str, Path]:
    names = ("tune", "train", "evaluate", "compare", "gate", "register")
    return {name: out / name / f"{ticker}-{model}" for name in names}
