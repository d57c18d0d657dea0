"""Experiments for tests."""

from typing import Any

from tickloom.experiment.manifest import Experiment, parse

ARMS = [{"name": "champion", "weight": 0.9}, {"name": "lstm", "weight": 0.1}]


def document(name: str = "lstm-on-casablanca", **spec: Any) -> dict[str, Any]:
    """Return the document of an experiment on Casablanca; None leaves a field out."""
    fields = {"market": "XCAS", "mode": "fixed", "arms": ARMS, **spec}
    return {
        "apiVersion": "tickloom.dev/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": name},
        "spec": {key: value for key, value in fields.items() if value is not None},
    }


def experiment(name: str = "lstm-on-casablanca", **spec: Any) -> Experiment:
    """Return the experiment of ``document``."""
    return parse(document(name, **spec))
