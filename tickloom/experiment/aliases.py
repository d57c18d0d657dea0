"""Which version each arm names, and the moves of ``champion``: nothing else moves that alias once a ticker has one."""

from collections.abc import Callable, Iterable, Mapping

from tickloom.errors import ConfigurationError
from tickloom.experiment.manifest import Experiment
from tickloom.experiment.spec import CHAMPION, PREVIOUS
from tickloom.experiment.states import Move
from tickloom.forecast import lineage
from tickloom.forecast.registry import Registry
from tickloom.market.instruments import instruments

Catalogue = Mapping[tuple[str, str], Mapping[str, int]]
"""By market and ticker, the version that each alias names."""


def named(experiment: Experiment, catalogue: Catalogue, tickers: Iterable[str]) -> dict[str, dict[str, int | None]]:
    """Return by arm and ticker the version that the arm names now, None where there is no such alias."""
    market, listed = experiment.spec.market, tuple(tickers)
    return {
        arm.name: {
            ticker: int(arm.model) if arm.model.isdigit() else catalogue.get((market, ticker), {}).get(arm.model)
            for ticker in listed
        }
        for arm in experiment.spec.arms
    }


def resolve(experiment: Experiment, catalogue: Catalogue) -> dict[str, dict[str, int]]:
    """Return by arm and ticker the versions that an experiment would compare.

    Raises
    ------
    ConfigurationError
        A ticker that the file names has no model for an arm, or no ticker of the market has one for each; one line for
        each, with the fix. Or the champion is no alias, so that a promotion would change nothing.
    """
    spec, title = experiment.spec, f"Experiment {experiment.name}"
    if experiment.arm(CHAMPION).model != CHAMPION:
        raise ConfigurationError(
            f"{title}: arm champion has model {experiment.arm(CHAMPION).model!r}, which no promotion moves; leave "
            "model out, so that it is the alias champion"
        )
    listed = instruments(spec.market)  # a model of a ticker that is in no list cannot be asked for either
    tickers = spec.tickers or tuple(sorted(it for market, it in catalogue if market == spec.market and it in listed))
    found = named(experiment, catalogue, tickers)
    lacking = {ticker: [arm for arm in experiment.arms if found[arm][ticker] is None] for ticker in tickers}
    whole = [ticker for ticker in tickers if not lacking[ticker]]
    if spec.tickers is not None and len(whole) < len(tickers):
        said = [_lack(experiment, ticker, arm) for ticker in tickers for arm in lacking[ticker]]
        raise ConfigurationError("\n".join(f"{title}: {text}" for text in said))
    if not whole:
        arms = [arm for arm in experiment.arms if all(found[arm][it] is None for it in tickers)]
        raise ConfigurationError(
            f"{title}: no ticker of {spec.market} has a model for every arm"
            + (f"; none at all has one for {', '.join(arms)}" if tickers and arms else "")
            + "; `tickloom experiment arm NAME --market "
            + f"{spec.market} --model MODEL` has challenger-NAME name the newest version of a model"
        )
    chosen = {arm: {ticker: found[arm][ticker] or 0 for ticker in whole} for arm in experiment.arms}
    for arm in experiment.arms:
        if arm != CHAMPION and chosen[arm] == chosen[CHAMPION]:
            raise ConfigurationError(
                f"{title}: arm {arm} names the champion's own version of every ticker; give it another: "
                f"`tickloom experiment arm {arm} --ticker {whole[0]} --version N`"
            )
    return chosen


def _lack(experiment: Experiment, ticker: str, arm: str) -> str:
    model = experiment.arm(arm).model
    fix = (
        f"`tickloom train {ticker} --model ridge` makes one, and random_walk the first champion"
        if model == CHAMPION
        else f"`tickloom experiment arm {arm} --market {experiment.spec.market} --ticker {ticker} --version N` "
        f"(`tickloom models {ticker}` lists them)"
    )
    return f"ticker {ticker} has no model for arm {arm} (alias {model}); {fix}"


def apply(registry: Registry, market: str, moves: Iterable[Move], still: Callable[[], bool]) -> list[str]:
    """Have ``champion`` name the new versions and ``previous-champion`` the old ones; again, where it broke off.

    Who approved a version, and why one was taken back, is written into its tags.

    Parameters
    ----------
    still
        Asked before each move whether these moves are still what is to be done: another process may have finished
        them, and moved back since.

    Returns
    -------
    list of str
        What could not be moved, a sentence each: tickers whose champion somebody moved meanwhile.

    Raises
    ------
    TickloomError
        MLflow does not answer; the next call goes on from there.
    """
    refused: list[str] = []
    now = registry.catalogue()
    for move in moves:
        aliases = now.get((market, move.ticker), {})
        if aliases.get(CHAMPION) not in (move.old, move.new):
            refused.append(
                f"champion of {move.ticker} names version {aliases.get(CHAMPION, 'none')}, neither {move.old} nor "
                f"{move.new}: somebody moved it, and it stays"
            )
            continue
        # in this order, so that whatever stops it leaves a champion, and its previous one where it is the new one
        for alias, number in ((PREVIOUS, move.old), (CHAMPION, move.new)):
            if aliases.get(alias) != number:
                if not still():
                    return refused
                registry.move_alias(market, move.ticker, alias, number)
        if move.approver:
            lineage.approve(registry, market, move.ticker, move.new, move.approver)
        if move.taken_back:
            lineage.take_back(registry, market, move.ticker, move.old, move.taken_back)
    return refused
