"""The weights that an experiment's mode asks for, from its file, the time and what is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from tickloom.errors import TickloomError
from tickloom.experiment.spec import CHAMPION, Spec
from tickloom.manifest.model import milliseconds


@dataclass(frozen=True, slots=True)
class Weights:
    """Shares of the keys, and the number under which they are recorded.

    Attributes
    ----------
    epoch : int
        0 for those of the file; higher ones by the mode.
    values : Mapping
        Share of each arm that takes part, summing to 1; 0 for one that only forecasts in the shadow.
    """

    epoch: int
    values: Mapping[str, float]

    def without(self, arm: str, epoch: int) -> "Weights":
        """Return these weights after an arm was taken out: the champion takes over what was its share.

        It takes no part any more, not even in the shadow. They are recorded under ``epoch``, a number that the
        experiment had for no other weights.

        Raises
        ------
        TickloomError
            The arm is the champion, or takes no part.
        """
        if arm == CHAMPION or arm not in self.values:
            raise TickloomError(f"arm {arm!r} cannot be taken out; these can: {', '.join(sorted(self._others()))}")
        kept = {name: value for name, value in self.values.items() if name != arm}
        return Weights(epoch, {**kept, CHAMPION: kept[CHAMPION] + self.values[arm]})

    def _others(self) -> list[str]:
        return [name for name in self.values if name != CHAMPION]


def initial(spec: Spec) -> Weights:
    """Return the weights of epoch 0: those of the file, or what the mode begins with where it has none.

    The champion begins with all of it, of a bandit each arm with the same; shadows have 0. In champion-challenger the
    champion answers always, whatever weights the file has.
    """
    answering = [arm for arm in spec.arms if not arm.shadow]
    values = {arm.name: 0.0 for arm in spec.arms}
    if spec.mode == "championChallenger":
        values[CHAMPION] = 1.0
    elif all(arm.weight is not None for arm in answering):
        values |= {arm.name: arm.weight or 0.0 for arm in answering}
    elif spec.mode == "canary":
        values[CHAMPION] = 1.0
    else:
        values |= {arm.name: 1 / len(answering) for arm in answering}
    return _ramped(spec, 0.0, 0, values) if spec.mode == "canary" else Weights(0, values)


def canary(spec: Spec, started: datetime, now: datetime, *, healthy: bool) -> Weights:
    """Return the weights of a canary ramp.

    Parameters
    ----------
    started, now
        When the ramp began, and the time at hand; both with a zone or both without.
    healthy
        False from the first broken guardrail on, until a person starts the ramp again: the arm then has nothing.

    Returns
    -------
    Weights
        Of epoch 0, with nothing for the arm, before the start and after a broken guardrail; of epoch n at step n.

    Raises
    ------
    TickloomError
        The mode is another one.
    """
    if spec.mode != "canary" or spec.canary is None:
        raise TickloomError(f"mode {spec.mode} has no ramp; canary has")
    elapsed = (now - started).total_seconds() * 1000
    if not healthy or elapsed < 0:
        return initial(spec)
    return canary_step(spec, int(elapsed // milliseconds(spec.canary.every)) + 1)


def canary_step(spec: Spec, step: int) -> Weights:
    """Return the weights of a step, 1 for the first; past the last one its weights stay.

    Raises
    ------
    TickloomError
        The mode is another one, or the step below 1.
    """
    if spec.mode != "canary" or spec.canary is None or step < 1:
        raise TickloomError(f"mode {spec.mode} has no step {step}; canary has steps from 1")
    step = min(step, len(spec.canary.steps))
    return _ramped(spec, spec.canary.steps[step - 1], step, None)


def _ramped(spec: Spec, share: float, epoch: int, base: Mapping[str, float] | None) -> Weights:
    """Give the canary its share, and the others the rest as their weights are to each other."""
    found = dict(base if base is not None else initial(spec).values)
    arm = spec.canary.arm if spec.canary is not None else ""
    rest = sum(value for name, value in found.items() if name != arm)
    if rest <= 0:  # the file gives the canary everything: the champion has to have the rest
        found, rest = {**found, CHAMPION: 1.0}, 1.0
    return Weights(epoch, {name: share if name == arm else (1 - share) * value / rest for name, value in found.items()})
