"""The experiments that this process takes part in: where they come from, and what it tells their judge."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from cassandra.cluster import Session

from tickloom.errors import ConfigurationError, TickloomError
from tickloom.experiment import health, manifest, states
from tickloom.experiment.guardrails import Counts
from tickloom.experiment.manifest import Experiment
from tickloom.experiment.modes import Weights, initial
from tickloom.experiment.ratio import Ratio, Tally
from tickloom.serving.health import Health
from tickloom.store.lazy import LazySession

log = structlog.get_logger(__name__)
Tags = Callable[[], Mapping[str, Mapping[str, str]]]
"""Returns the tags of registered models, by the model's name."""


@dataclass(frozen=True)
class Running:
    """What routers deal by.

    Attributes
    ----------
    experiments : tuple of Experiment
    weights : mapping
        By experiment; those of the file where there are none.
    generations : mapping
        By experiment that a judge looks at, which generation of its models is counted.
    """

    experiments: tuple[Experiment, ...] = ()
    weights: Mapping[str, Weights] = field(default_factory=dict)
    generations: Mapping[str, int] = field(default_factory=dict)


class Trials:
    """Finds experiments, and tells the judge how their arms do here.

    An experiment that was started (``tickloom experiment start``) is as the store has it, with the weights of now, and
    none once it was decided. One that stands in a file or in a tag alone has its file's weights for ever.

    Parameters
    ----------
    path
        File of an Experiment, or folder of such files.
    tags
        Of registered models; one may hold an experiment.
    store
        Where states are.
    replica
        Name of this process, that no other has.
    """

    def __init__(self, path: Path | None, tags: Tags, store: LazySession | None, replica: str) -> None:
        self._path, self._tags, self.store, self._replica = path, tags, store, replica
        self._states: Mapping[str, states.State] = {}
        self._said: set[str] = set()
        self._tallies: dict[str, Tally] = {}
        self._ratios: dict[str, Ratio] = {}
        self.health = Health()
        self.running = Running()
        self.problems: list[str] = []

    def look(self) -> bool:
        """Find what runs now; return whether it changed. While the store is away, its last answer counts.

        Raises
        ------
        ConfigurationError
            A file or a tag cannot be read, or two experiments take one ticker; those that are known stay.
        """
        if self.store is not None:
            try:
                self._states = self.store.use(states.read)
            except TickloomError as error:
                self._say(f"experiments cannot be read from the store, and stay as they are: {error}")
        started, weights = states.routed(self._states.values())
        try:
            found = (*started, *(it for it in self._listed() if it.name not in self._states))
            manifest.check_together(found)
        except ConfigurationError as error:
            self.problems = str(error).splitlines()
            raise
        self.problems = []
        generations = {it.name: it.generation for it in self._states.values() if it.routes}
        now = Running(found, weights, generations)
        if now == self.running:
            return False
        self._begin_anew(now)
        self.running = now
        return True

    @property
    def asking(self) -> tuple[str, ...]:
        """Experiments that wait for a person's word on what they promoted."""
        return tuple(it.name for it in self._states.values() if it.status == "asking")

    def shown(self) -> list[dict[str, Any]]:
        """Return the experiments that run, with the weights of now."""
        found = []
        for it in self.running.experiments:
            weights = self.running.weights.get(it.name) or initial(it.spec)
            arms = [
                {"name": arm.name, "model": arm.model, "weight": weights.values.get(arm.name, 0.0)}
                for arm in it.spec.arms
                if arm.name in weights.values
            ]
            found.append(
                {
                    "name": it.name,
                    "market": it.spec.market,
                    "tickers": None if it.spec.tickers is None else list(it.spec.tickers),
                    "mode": it.spec.mode,
                    "epoch": weights.epoch,
                    "arms": arms,
                }
            )
        return found

    def tallies(self) -> Mapping[str, Tally]:
        """Return what counts the keys of each experiment."""
        return self._tallies

    def tell(self) -> None:
        """Write what was counted here for the judge.

        Raises
        ------
        TickloomError
            The store does not answer.
        """
        if self.store is None or not self.running.generations:
            return
        counts = self.health.counts()
        for it in self.running.experiments:
            generation = self.running.generations.get(it.name)
            if generation is not None:
                mine = {arm: count for (name, arm), count in counts.items() if name == it.name}
                ratio = self._ratio(it)
                if mine:
                    self.store.use(self._publication(it.name, mine, generation, ratio))

    def _publication(
        self, name: str, counts: Mapping[str, Counts], generation: int, ratio: Ratio
    ) -> Callable[[Session], None]:
        def publish(session: Session) -> None:
            health.publish(session, self._replica, name, counts, generation=generation, ratio=ratio)

        return publish

    def _ratio(self, experiment: Experiment) -> Ratio:
        """Return the keys that were dealt so far, beside what the weights of now let expect of the newest ones."""
        weights = self.running.weights.get(experiment.name) or initial(experiment.spec)
        found = self._ratios.get(experiment.name, Ratio())
        counted = self._tallies[experiment.name].take() if experiment.name in self._tallies else {}
        if sum(weight > 0 for weight in weights.values.values()) > 1 and counted:
            found = self._ratios[experiment.name] = found.add(counted, weights.values)
        return found

    def _begin_anew(self, now: Running) -> None:
        """Close what was counted under the weights and the models of before."""
        for it in self.running.experiments:
            self._ratio(it)
        names = {it.name for it in now.experiments}
        self._tallies = {name: self._tallies.get(name) or Tally() for name in names}
        self._ratios = {name: it for name, it in self._ratios.items() if name in names}
        changed = {
            name for name, number in now.generations.items() if self.running.generations.get(name, number) != number
        }
        self.health.watch(now.experiments, anew=changed)

    def _listed(self) -> Sequence[Experiment]:
        found = list(manifest.load(self._path)) if self._path is not None else []
        for name, tags in self._tags().items():
            held = manifest.from_tags(tags, name)
            if held is not None and held not in found:
                found.append(held)
        return found

    def _say(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            log.warning(sentence)
