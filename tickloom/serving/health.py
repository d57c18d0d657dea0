"""How arms do in this process: what their guardrails are judged by."""

import time
from collections.abc import Iterable, Mapping, Set

from tickloom.experiment.guardrails import Counts, Window
from tickloom.experiment.manifest import Experiment
from tickloom.experiment.spec import Guardrails

Place = tuple[str, str]
"""Experiment and arm."""


class Health:
    """Counts requests of arms over their guardrails' windows."""

    def __init__(self) -> None:
        self._rules: dict[str, Guardrails] = {}
        self._windows: dict[Place, Window] = {}

    def watch(self, experiments: Iterable[Experiment], anew: Set[str] = frozenset()) -> None:
        """Count for these experiments from now on.

        Windows whose rules stay as they are stay too, but those of the experiments that begin ``anew``.
        """
        rules = {it.name: it.spec.guardrails for it in experiments}
        self._windows = {
            (name, arm): it
            for (name, arm), it in self._windows.items()
            if name not in anew and rules.get(name) == self._rules[name]
        }
        self._rules = rules

    def record(self, experiment: str, arm: str, latency_s: float, *, failed: bool) -> None:
        """Count a request of an arm."""
        rules = self._rules.get(experiment)
        if rules is not None:
            place = (experiment, arm)
            window = self._windows.get(place)
            if window is None:
                window = self._windows[place] = Window(rules)
            window.record(time.monotonic(), latency_s, failed=failed)

    def counts(self) -> Mapping[Place, Counts]:
        """Return what was counted, by experiment and arm."""
        now = time.monotonic()
        return {place: it.counts(now) for place, it in self._windows.items()}
