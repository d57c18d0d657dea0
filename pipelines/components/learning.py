"""Components of one ticker and one model: choose its options, learn it, judge it."""

from kfp.dsl import HTML, Artifact, ClassificationMetrics, Dataset, Input, Metrics, Model, Output

from pipelines.components import component


@component
def tune(
    ticker: str,
    model: str,
    market: str,
    trials: int,
    seed: int,
    options: str,
    digest: str,
    cpu: str,
    memory: str,
    bars: Input[Dataset],
    plan: Input[Dataset],
    chosen: Output[Artifact],
    metrics: Output[Metrics],
) -> dict:
    """Choose a model's options; trials that a lost node has made already are not made again."""
    import json
    from pathlib import Path

    from pipelines.threads import limit

    limit(cpu)  # before numpy is there
    from pipelines.runtime import attempt, checkpoint, measured

    kept = checkpoint("studies", market, ticker, model)
    facts = attempt(
        "tune",
        chosen.path,
        forgive=True,
        ticker=ticker,
        model=model,
        extracted=Path(bars.path),
        plan=Path(plan.path),
        market=market,
        trials=trials,
        seed=seed,
        options=json.loads(options),
        storage=str(kept / "study.db") if kept else None,
    )
    measured(facts, metrics)
    return facts


@component
def train(
    ticker: str,
    model: str,
    market: str,
    seed: int,
    accelerator: str,
    gpus: str,
    digest: str,
    cpu: str,
    memory: str,
    bars: Input[Dataset],
    plan: Input[Dataset],
    chosen: Input[Artifact],
    package: Output[Model],
    metrics: Output[Metrics],
) -> dict:
    """Learn a model, on a GPU where there is one, and go on from the checkpoint of an attempt that was lost."""
    from pathlib import Path

    from pipelines.threads import limit

    limit(cpu)  # before numpy is there
    from pipelines.runtime import attempt, checkpoint, device, measured

    facts = attempt(
        "train",
        package.path,
        after=[chosen.path],
        forgive=True,
        ticker=ticker,
        model=model,
        extracted=Path(bars.path),
        plan=Path(plan.path),
        tuned=Path(chosen.path),
        market=market,
        seed=seed,
        checkpoint=checkpoint("checkpoints", market, ticker, model),
        device=device(gpus),
    )
    package.metadata.update({"framework": "tickloom", "ticker": ticker, "model": model, "data_sha256": digest})
    measured(facts, metrics)
    return facts


@component
def evaluate(
    ticker: str,
    model: str,
    market: str,
    seed: int,
    digest: str,
    cpu: str,
    memory: str,
    bars: Input[Dataset],
    plan: Input[Dataset],
    chosen: Input[Artifact],
    judged: Output[Artifact],
    metrics: Output[Metrics],
    directions: Output[ClassificationMetrics],
    page: Output[HTML],
) -> dict:
    """Judge a model by walk-forward beside the baselines."""
    from pathlib import Path

    from pipelines.threads import limit

    limit(cpu)  # before numpy is there
    from pipelines.ending import brief, copy
    from pipelines.runtime import attempt, measured

    facts = attempt(
        "evaluate",
        judged.path,
        after=[chosen.path],
        forgive=True,
        ticker=ticker,
        model=model,
        extracted=Path(bars.path),
        plan=Path(plan.path),
        tuned=Path(chosen.path),
        market=market,
        seed=seed,
    )
    measured(facts, metrics)
    if "confusion" in facts:
        directions.log_confusion_matrix(["down", "up"], facts["confusion"])
    Path(directions.path).write_text("", encoding="utf-8")
    copy(Path(judged.path) / "report.html", page.path)
    return brief(facts)
