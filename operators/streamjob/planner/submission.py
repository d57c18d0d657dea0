"""What a run of the pipeline is told."""

from typing import Any

from operators.streamjob.retrained import Run
from operators.streamjob.seen import Seen
from tickloom.stream.job import Spec


def parameters(seen: Seen, spec: Spec, run: Run) -> dict[str, Any]:
    """Return the parameters of a run, as JSON: those that every version of the pipeline has, and those of its pods.

    What a manifest leaves out of the latter is left out here, so that a pipeline without GPUs runs too.
    """
    assert spec.retrain is not None
    pipeline = spec.retrain.pipeline
    told: dict[str, Any] = {
        "tickers": list(run.tickers),
        "market": spec.market,
        "models": list(pipeline.models),
        "horizon": pipeline.horizon,
        "folds": pipeline.folds,
        "test": pipeline.test,
        "gate": pipeline.gate,
        "trials": pipeline.trials,
        "seed": pipeline.seed,
        "mlflow": seen.installation.mlflow or "",
        "trigger": run.trigger,
        "policy": f"{seen.namespace}/{seen.name}",
        "cpu": pipeline.cpu,
        "memory": pipeline.memory,
    }
    if pipeline.gpus:
        told |= {"gpus": pipeline.gpus, "accelerator": pipeline.accelerator}
    if pipeline.node_selector:
        told["node_selector"] = dict(pipeline.node_selector)
    if pipeline.tolerations:
        told["tolerations"] = [
            item.model_dump(mode="json", by_alias=True, exclude_none=True) for item in pipeline.tolerations
        ]
    return told
