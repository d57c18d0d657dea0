"""Which versions the arms of an experiment name, and what is said where one has none."""

import re

import pytest

from tests.unit.experiment.made import experiment
from tickloom.errors import ConfigurationError
from tickloom.experiment.aliases import apply, named, resolve
from tickloom.experiment.states import Move

ARMS = [{"name": "champion"}, {"name": "lstm"}]
CATALOGUE = {
    ("XCAS", "ATW"): {"champion": 1, "challenger-lstm": 4},
    ("XCAS", "IAM"): {"champion": 2},
    ("XCAS", "NOSUCH"): {"champion": 1, "challenger-lstm": 2},
    ("XNYS", "AAPL"): {"champion": 1, "challenger-lstm": 2},
}


def made(**spec):
    return experiment("one", **({"mode": "championChallenger", "arms": ARMS} | spec))


def test_without_tickers_those_of_the_market_with_every_arm_take_part():
    assert resolve(made(), CATALOGUE) == {"champion": {"ATW": 1}, "lstm": {"ATW": 4}}


def test_an_arm_may_be_a_version_by_number():
    numbered = made(tickers=["ATW", "IAM"], arms=[{"name": "champion"}, {"name": "old", "model": 7}])
    assert resolve(numbered, CATALOGUE)["old"] == {"ATW": 7, "IAM": 7}
    assert named(made(), CATALOGUE, ["IAM", "BCP"])["lstm"] == {"IAM": None, "BCP": None}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"tickers": ["ATW", "IAM"]}, "ticker IAM has no model for arm lstm (alias challenger-lstm); `tickloom exp"),
        ({"tickers": ["BCP"]}, "ticker BCP has no model for arm champion (alias champion); `tickloom train BCP"),
        ({"arms": [{"name": "champion"}, {"name": "gbm"}]}, "no ticker of XCAS has a model for every arm; none at all "
         "has one for gbm; `tickloom experiment arm NAME --market XCAS --model MODEL`"),
        ({"arms": [{"name": "champion", "model": "4"}, {"name": "lstm"}]}, "which no promotion moves; leave model out"),
        ({"tickers": ["ATW"], "arms": [{"name": "champion"}, {"name": "old", "model": 1}]}, "arm old names the "
         "champion's own version of every ticker"),
    ],
)  # fmt: skip
def test_an_arm_without_a_model_is_told_with_the_fix(spec, said):
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        resolve(made(**spec), CATALOGUE)


class Aliases:
    """A registry of one market, and the moves that it was asked for."""

    def __init__(self, **tickers):
        self.known, self.moves = {("XCAS", it): dict(aliases) for it, aliases in tickers.items()}, []

    def catalogue(self):
        return {it: dict(aliases) for it, aliases in self.known.items()}

    def move_alias(self, market, ticker, alias, number):
        self.moves.append((ticker, alias, number))
        self.known[market, ticker][alias] = number


MOVES = (Move(ticker="ATW", old=1, new=2), Move(ticker="IAM", old=1, new=2))


def test_the_old_version_is_remembered_before_the_new_one_serves_and_twice_is_once():
    registry = Aliases(ATW={"champion": 1}, IAM={"champion": 1})
    assert apply(registry, "XCAS", MOVES, lambda: True) == []
    assert registry.moves == [
        ("ATW", "previous-champion", 1), ("ATW", "champion", 2), ("IAM", "previous-champion", 1), ("IAM", "champion", 2)
    ]  # fmt: skip
    assert apply(registry, "XCAS", MOVES, lambda: True) == []
    assert len(registry.moves) == 4


def test_a_champion_that_somebody_moved_stays_and_is_told():
    registry = Aliases(ATW={"champion": 9}, IAM={"champion": 1})
    (said,) = apply(registry, "XCAS", MOVES, lambda: True)
    assert "champion of ATW names version 9, neither 1 nor 2: somebody moved it, and it stays" in said
    assert {ticker for ticker, _, _ in registry.moves} == {"IAM"}


def test_moves_that_are_no_longer_to_be_done_are_not_done():
    registry = Aliases(ATW={"champion": 1}, IAM={"champion": 1})
    answers = iter([True, False])
    apply(registry, "XCAS", MOVES, lambda: next(answers))
    assert registry.moves == [("ATW", "previous-champion", 1)]
