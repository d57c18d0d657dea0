"""Components of one ticker and one model: compare it with the champion, and say whether it may be registered."""

from kfp.dsl import Artifact, Dataset, Input, Metrics, Model, Output

from pipelines.components import component


@component
def compare(
    ticker: str,
    model: str,
    market: str,
    mlflow: str,
    bars: Input[Dataset],
    plan: Input[Dataset],
    package: Input[Model],
    compared: Output[Artifact],
    metrics: Output[Metrics],
) -> dict:
    """Compare challenger, champion and random walk on the sessions that were held back."""
    from pathlib import Path

    from pipelines.runtime import attempt, measured, registry

    facts = attempt(
        "compare",
        compared.path,
        after=[package.path],
        ticker=ticker,
        model=model,
        extracted=Path(bars.path),
        plan=Path(plan.path),
        trained=Path(package.path),
        market=market,
        mlflow=registry(mlflow),
    )
    measured(facts, metrics)
    return facts


@component
def gate(
    ticker: str,
    model: str,
    limits: dict,
    package: Input[Model],
    judged: Input[Artifact],
    compared: Input[Artifact],
    gated: Output[Artifact],
    metrics: Output[Metrics],
) -> list:
    """Say whether a model may be registered, and return what the steps of its pair found."""
    from pathlib import Path

    from pipelines.ending import of_pair
    from pipelines.runtime import attempt, measured

    before = [package.path, judged.path, compared.path]
    facts = attempt(
        "gate",
        gated.path,
        after=before,
        ticker=ticker,
        model=model,
        compared=Path(compared.path),
        evaluated=Path(judged.path),
        trained=Path(package.path),
        limits=limits or None,
    )
    measured(facts, metrics)
    return of_pair(before, facts)
