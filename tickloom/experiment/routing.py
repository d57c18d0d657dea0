"""Which arm answers a key: a hash of experiment, arm and key, and weights, alone.

The hash is weighted rendezvous hashing (Thaler and Ravishankar 1998, doi:10.1109/90.663936; with weights as in
Schindelhauer and Schomaker 2005, doi:10.1145/1073970.1074008): each arm draws, from salt, arm and key, an exponential
variable whose rate is its weight, and the least one answers. So an arm answers its weight's share of the keys, and a
change of weights moves a key only to an arm whose weight rose beside that of the arm it had.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from hashlib import blake2b
from math import isfinite, log
from typing import Final, Literal

from tickloom.errors import TickloomError
from tickloom.experiment.manifest import DEFAULT, Experiment, check_together
from tickloom.experiment.modes import Weights, initial
from tickloom.experiment.spec import CHAMPION

Reason = Literal["weights", "header missing", "one arm", "no experiment", "no model for every arm"]
"""Why this arm: by weights; by weights and the client, as the request lacks the header; the only arm with weight; or
the champion, as no experiment takes the ticker, or the ticker lacks an arm."""
_BITS: Final = 52  # so that a half added is still exact in a double, and the logarithm never that of 0 or 1
_UNIT: Final = 2.0**-_BITS


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which arm answers, and which others forecast off the answer's path.

    Attributes
    ----------
    experiment : str
        Its name, or ``default``.
    key : str
        What stays with its arm: client, ticker or the header's value.
    shadows : tuple of str
        Every other arm, in the order of the file: only what all arms forecast can be compared.
    epoch : int
        Of the weights; key, experiment and epoch give this assignment again.
    """

    experiment: str
    arm: str
    key: str
    reason: Reason
    shadows: tuple[str, ...]
    epoch: int = 0


class Split:
    """Deals keys to arms by weights.

    Parameters
    ----------
    salt
        Another salt deals anew.
    weights
        Share of each arm, in any unit; arms of weight 0 get no key.

    Raises
    ------
    TickloomError
        A weight is negative or not finite, or none is above 0.
    """

    __slots__ = ("_arms", "_only")

    def __init__(self, salt: str, weights: Mapping[str, float]) -> None:
        wrong = [f"{arm} {weight}" for arm, weight in weights.items() if not (isfinite(weight) and weight >= 0)]
        if wrong or not any(weights.values()):
            raise TickloomError(
                f"weights of {salt!r}: {', '.join(wrong) or 'none is above 0'}; each must be 0 or more, and one above 0"
            )
        # \0 is in no name, so no two of salt, arm and key read alike; the state after the prefix is hashed once
        self._arms = tuple(
            (arm, weight, blake2b(f"{salt}\0{arm}\0".encode(), digest_size=8).copy)
            for arm, weight in weights.items()
            if weight > 0
        )
        self._only = self._arms[0][0] if len(self._arms) == 1 else None

    @property
    def only(self) -> str | None:
        """The arm that gets every key, None where there are several."""
        return self._only

    def arm(self, key: str) -> str:
        """Return the arm of a key."""
        if self._only is not None:
            return self._only
        data = key.encode("utf-8", "surrogatepass")
        best, least = "", float("inf")
        for arm, weight, copy in self._arms:
            state = copy()
            state.update(data)
            draw = -log(((int.from_bytes(state.digest(), "big") >> (64 - _BITS)) + 0.5) * _UNIT) / weight
            if draw < least:
                best, least = arm, draw
        return best


class _Table:
    """What an experiment is at one epoch, made once so that a request makes nothing."""

    __slots__ = ("arms", "epoch", "experiment", "header", "needed", "shadows", "split", "stickiness")

    def __init__(self, experiment: Experiment, weights: Weights) -> None:
        strangers = [arm for arm in weights.values if arm not in experiment.arms]
        if strangers:
            raise TickloomError(
                f"weights of {experiment.name}: {', '.join(strangers)} unknown; known: {', '.join(experiment.arms)}"
            )
        self.experiment = experiment.name
        self.epoch = weights.epoch
        self.arms = tuple(arm for arm in experiment.arms if arm in weights.values)
        self.needed = frozenset(self.arms)
        self.split = Split(experiment.salt, weights.values)
        self.shadows = {arm: tuple(other for other in self.arms if other != arm) for arm in self.arms}
        self.stickiness, _, self.header = experiment.spec.stickiness.partition(":")
        self.header = self.header.lower()


class Router:
    """Assigns requests to arms; keeps no state but tables, so that one more process assigns alike.

    Parameters
    ----------
    experiments
        Those that run; no two take the same ticker.
    weights
        Present weights by experiment's name; those of the file where there are none. An arm that they do not name takes
        no part any more.

    Raises
    ------
    ConfigurationError
        Two experiments take the same ticker.
    TickloomError
        Weights are of an unknown experiment or arm, or none is above 0.

    Notes
    -----
    New weights make a new router, which costs microseconds; whoever holds one swaps it for the other.
    """

    def __init__(self, experiments: Iterable[Experiment], weights: Mapping[str, Weights] | None = None) -> None:
        listed = tuple(experiments)
        given = weights or {}
        check_together(listed)
        strangers = given.keys() - {it.name for it in listed}
        if strangers:
            raise TickloomError(f"weights of unknown experiments: {', '.join(sorted(strangers))}")
        self._tickers: dict[tuple[str, str], _Table] = {}
        self._markets: dict[str, _Table] = {}
        for experiment in listed:
            table = _Table(experiment, given.get(experiment.name) or initial(experiment.spec))
            market = experiment.spec.market
            if experiment.spec.tickers is None:
                self._markets[market] = table
            else:
                self._tickers.update({(market, ticker): table for ticker in experiment.spec.tickers})

    def assign(
        self,
        market: str,
        ticker: str,
        *,
        client: str,
        headers: Mapping[str, str] | None = None,
        available: Set[str] | None = None,
    ) -> Assignment:
        """Return who answers a request.

        Parameters
        ----------
        client
            Who asks, by the name that its key or token gives.
        headers
            Of the request, their names in small letters; an empty one is a missing one.
        available
            Arms that have a model for the ticker; None means all. A ticker that lacks one takes no part: what its
            champion answered could be compared with nothing.
        """
        table = self._tickers.get((market, ticker)) or self._markets.get(market)
        if table is None:
            return Assignment(DEFAULT, CHAMPION, client, "no experiment", ())
        if available is not None and not table.needed <= available:
            return Assignment(DEFAULT, CHAMPION, client, "no model for every arm", ())
        reason: Reason = "weights"
        if table.stickiness == "client":
            key = client
        elif table.stickiness == "ticker":
            key = ticker
        else:
            value = (headers or {}).get(table.header)
            key, reason = (client, "header missing") if not value else (value, reason)
        arm = table.split.arm(key)
        if table.split.only is not None:
            reason = "one arm"
        return Assignment(table.experiment, arm, key, reason, table.shadows[arm], table.epoch)
