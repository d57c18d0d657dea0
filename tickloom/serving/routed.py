"""Who asks, who answers, and who hears of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tickloom.experiment.manifest import DEFAULT
from tickloom.experiment.spec import CHAMPION
from tickloom.serving.catalogue import Catalogue
from tickloom.serving.wire import Made

LEVELS = (0.8, 0.95)
"""Intervals that the ledger holds; every forecast is made with them, whatever was asked for."""


@dataclass(frozen=True)
class Routed:
    """Who answers a request.

    Attributes
    ----------
    experiment, arm, version : str
    shadows : tuple of (str, str)
        Arm and version of those that forecast beside.
    epoch : int
        Of the weights; with the caller's key it gives the same arm again.
    """

    experiment: str
    arm: str
    version: str
    shadows: tuple[tuple[str, str], ...] = ()
    epoch: int = 0


class Route(Protocol):
    """Chooses who answers."""

    def __call__(self, catalogue: Catalogue, market: str, ticker: str, caller: "Caller") -> Routed | None:
        """Return who answers; None where no model can."""


class Recorder(Protocol):
    """Hears of every forecast off the answer's path, and never waits."""

    def __call__(self, routed: Routed, arm: str, market: str, ticker: str, made: Made, request: str) -> None:
        """Take a forecast of an arm."""


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes
    ----------
    name : str
        Of the key or the token, else the address.
    headers : mapping
        Of the request, by lower-case name.
    markets : frozenset of str or None
        Which it may ask for; None for all.
    """

    name: str
    headers: Mapping[str, str]
    markets: frozenset[str] | None = None


def champion(catalogue: Catalogue, market: str, ticker: str, caller: Caller) -> Routed | None:
    """Have the champion answer, where no experiment does."""
    version = catalogue.version(market, ticker, CHAMPION)
    return None if version is None else Routed(DEFAULT, CHAMPION, version)
