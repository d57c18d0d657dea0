"""Bandits whose rewards come late and many at once: Thompson sampling and epsilon-greedy.

A reward is known once the session has matured, long after other requests were answered. So a bandit moves weights, once
an epoch, and not single requests; the hash deals keys by them. river's bandits do not fit: their ``pull`` returns one
arm from a generator that is part of the state, so that an assignment could be had again only by playing all earlier
ones, and no weights can be had from them.
"""

import random
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from math import fsum, isfinite, sqrt

import numpy as np
from scipy.special import stdtrit

from tickloom.errors import TickloomError
from tickloom.experiment.manifest import Experiment
from tickloom.experiment.modes import Weights, initial
from tickloom.experiment.spec import Spec
from tickloom.manifest.model import milliseconds

DRAWS = 2000
"""Samples of which the shares are taken: a share is a multiple of 0.0005, with a standard error of 0.011 or less."""


@dataclass(frozen=True, slots=True)
class Rewards:
    """Rewards of an arm so far, as far as a bandit needs them.

    Attributes
    ----------
    mean, squares : float
        Their mean, and the sum of squared deviations from it.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, values: Iterable[float]) -> "Rewards":
        """Return these with more, in any order and in batches of any size (Chan, Golub and LeVeque 1979).

        Raises
        ------
        TickloomError
            One is not finite.
        """
        given = list(values)
        if not all(isfinite(value) for value in given):
            raise TickloomError("rewards must be finite numbers; leave out what has not matured")
        if not given:
            return self
        mean = fsum(given) / len(given)
        count = self.count + len(given)
        apart = mean - self.mean
        return Rewards(
            count,
            self.mean + apart * len(given) / count,
            self.squares
            + fsum((value - mean) ** 2 for value in given)
            + apart * apart * self.count * len(given) / count,
        )


State = Mapping[str, Rewards]
"""Rewards by arm. What the ledger has makes it anew, so a corrected close asks for no more than that."""


def paired(losses: Mapping[str, float]) -> dict[str, float]:
    """Return the reward of each arm for one session: how far its loss lies below the mean of all arms.

    Parameters
    ----------
    losses
        Loss of each arm, the mean over the tickers that all of them forecast. Tickers of one session move together: a
        reward each would be counted as more than is known.
    """
    mean = fsum(losses.values()) / len(losses) if losses else 0.0
    return {arm: mean - loss for arm, loss in losses.items()}


def learn(state: State, rewards: Mapping[str, Sequence[float]]) -> State:
    """Return the state after a batch of matured rewards, more being better; raises as `Rewards.add` does."""
    return {
        arm: state.get(arm, Rewards()).add(rewards.get(arm, ()))
        for arm in dict.fromkeys((*state, *rewards))
    }  # fmt: skip


def epoch_at(spec: Spec, started: datetime, now: datetime) -> int:
    """Return the number of the bandit's epoch: 0 before the start, 1 in the first."""
    elapsed = (now - started).total_seconds() * 1000
    return max(0, int(elapsed // milliseconds(spec.bandit.every)) + 1)


def weights(experiment: Experiment, epoch: int, state: State, out: Set[str] = frozenset()) -> Weights:
    """Return the weights of an epoch.

    Parameters
    ----------
    epoch
        From 0, whose weights are the file's.
    state
        Rewards matured before the epoch began: what comes later must not change its weights.
    out
        Arms that were taken out; they take no part.

    Returns
    -------
    Weights
        The same for the same arguments, in every process. Those of the file, without the arms that are out, until each
        arm has ``leastRewards``.

    Raises
    ------
    TickloomError
        The mode is no bandit's, or the champion is out.
    """
    spec = experiment.spec
    if spec.mode not in ("thompson", "epsilonGreedy"):
        raise TickloomError(f"mode {spec.mode} of {experiment.name} is no bandit; thompson and epsilonGreedy are")
    found = Weights(epoch, initial(spec).values)
    for arm in sorted(out):
        found = found.without(arm, epoch)
    arms = [arm.name for arm in spec.arms if not arm.shadow and arm.name not in out]
    known = [state.get(arm, Rewards()) for arm in arms]
    if epoch < 1 or len(arms) < 2 or min(rewards.count for rewards in known) < spec.bandit.least_rewards:
        return found
    shares = _best_mean(spec, known) if spec.mode == "epsilonGreedy" else _thompson(experiment, epoch, arms, known)
    return Weights(epoch, {**found.values, **dict(zip(arms, shares, strict=True))})


def _best_mean(spec: Spec, known: Sequence[Rewards]) -> list[float]:
    best = max(range(len(known)), key=lambda at: known[at].mean)  # of equals the first, as the file has them
    spread = spec.bandit.epsilon / len(known)
    return [spread + (1 - spec.bandit.epsilon) * (at == best) for at in range(len(known))]


def _thompson(experiment: Experiment, epoch: int, arms: Sequence[str], known: Sequence[Rewards]) -> list[float]:
    """Return how often each arm's mean is the greatest in samples of the posterior, no share below the least one.

    The posterior of a mean is Student's t, of the reference prior and one more observation of the variance that all
    arms have together: an arm whose rewards were all alike is not certain.
    """
    pooled = fsum(rewards.squares for rewards in known) / sum(rewards.count - 1 for rewards in known)
    samples = []
    for arm, rewards in zip(arms, known, strict=True):
        # a stream for each arm, so that one more arm changes no other's; random() alone is promised to stay as it is
        stream = random.Random(f"{experiment.salt}\0{experiment.spec.bandit.seed}\0{epoch}\0{arm}")  # noqa: S311
        uniform = np.array([stream.random() for _ in range(DRAWS)]).clip(1e-12, 1 - 1e-12)
        scale = sqrt((rewards.squares + pooled) / rewards.count / rewards.count)
        samples.append(rewards.mean + scale * stdtrit(rewards.count, uniform))
    best = np.bincount(np.argmax(np.vstack(samples), axis=0), minlength=len(arms)) / DRAWS
    least = min(experiment.spec.bandit.least, 1 / len(arms))
    return [float(least + (1 - least * len(arms)) * share) for share in best]
