"""Components of a whole run: fairness over tickers, registration, and the report, which is written in any case."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Model, Output, PipelineTaskFinalStatus

from pipelines.components import component


@component
def fair(pairs: list, limits: dict, fairness: Output[Artifact], metrics: Output[Metrics]) -> dict:
    """Say which models may be registered when the tickers are looked at together."""
    from pipelines.ending import gates
    from pipelines.runtime import attempt, measured

    facts = attempt("fair", fairness.path, gates=gates(pairs), limits=limits or None)
    measured(facts, metrics)
    return facts


@component
def register(
    fairness: dict,
    pairs: list,
    market: str,
    mlflow: str,
    arms: dict,
    run: str,
    packages: Input[list[Model]],
    judged: Input[list[Artifact]],
    gated: Input[list[Artifact]],
    registered: Output[Artifact],
) -> list:
    """Register as challengers what passed; what an earlier attempt of this run registered is found again."""
    from pipelines.ending import register_all
    from pipelines.runtime import registry, run_of, told

    with told("register"):
        return register_all(
            fairness["allowed"],
            pairs,
            [it.path for it in packages],
            [it.path for it in judged],
            [it.path for it in gated],
            registered.path,
            market=market,
            mlflow=registry(mlflow),
            arms=arms,
            run=run_of(run),
        )


@component
def report(
    plan: Input[Dataset],
    pairs: list,
    fairness: dict,
    registered: list,
    page: Output[HTML],
    told: Output[Artifact],
) -> dict:
    """Write what happened to each ticker and model."""
    from pipelines.ending import of_run, report_all
    from pipelines.runtime import result

    return report_all([result(plan.path), *of_run(pairs, fairness, registered)], told.path, page.path)


@component
def settle(report: dict) -> None:
    """Fail where a ticker and model failed, so that the run is marked; all others came to their end before."""
    from pipelines.ending import settle as check
    from pipelines.runtime import told

    with told("settle"):
        check(report["counts"])


@component
def settle_features(features: dict) -> None:
    """Fail where no ticker has features, so that the run is marked."""
    from pipelines.ending import settle_features as check
    from pipelines.runtime import told

    with told("settle"):
        check(features)


@component
def conclude(status: PipelineTaskFinalStatus, trigger: str, policy: str, page: Output[HTML]) -> None:
    """Say how the run ended; where it did not come to its report, write one of what it did."""
    from pipelines.ending import conclusion

    conclusion(status.state, status.error_message, trigger, policy, page.path)
