"""Which version an arm's alias names before an experiment begins."""

from collections.abc import Mapping, Sequence

from cassandra.cluster import Session

from tickloom.errors import TickloomError
from tickloom.experiment import states, trail
from tickloom.experiment.manifest import DEFAULT
from tickloom.experiment.spec import CHAMPION, PREVIOUS
from tickloom.experiment.states import Entry
from tickloom.forecast.registry import Registry


def choose(
    registry: Registry, market: str, tickers: Sequence[str], *, version: int | None = None, model: str | None = None
) -> dict[str, int]:
    """Return by ticker the version of that number, or the newest one of a model.

    Parameters
    ----------
    tickers
        None: all of the market that have one.

    Raises
    ------
    TickloomError
        A ticker that is named has no such version; it is said which ones it has.
    """
    listed = tuple(tickers) or tuple(sorted(it for of, it in registry.catalogue() if of == market))
    found: dict[str, int] = {}
    for ticker in listed:
        there = registry.versions(market, ticker)
        fits = [it.number for it in there if (it.number == version if model is None else it.model == model)]
        if fits:
            found[ticker] = fits[0]
        elif tickers:
            known = ", ".join(f"{it.number} ({it.model})" for it in there) or "none"
            wanted = f"version {version}" if model is None else f"version of model {model!r}"
            raise TickloomError(
                f"{ticker} on {market} has no {wanted}; known: {known}; `tickloom train {ticker} --model "
                f"{model or 'ridge'}` makes one"
            )
    if not found:
        raise TickloomError(f"no ticker of {market} has such a version in {registry.uri}; `tickloom models TICKER`")
    return found


def name(
    session: Session | None,
    registry: Registry,
    arm: str,
    market: str,
    versions: Mapping[str, int],
    who: str,
    now_us: int,
    why: str = "by hand",
) -> str:
    """Have ``challenger-ARM`` of tickers name versions, write it down under the experiment ``default``, return it.

    Parameters
    ----------
    session
        With the store that knows the experiments; None where there is no store, and so no experiment and no trail.

    Raises
    ------
    TickloomError
        The arm is the champion, or an experiment that runs compares it.
    """
    alias = f"challenger-{arm}"
    if arm in (CHAMPION, PREVIOUS):
        raise TickloomError(
            f"arm {arm!r}: that alias is moved by decisions alone; start an experiment, or roll one back"
        )
    for it in states.read(session).values() if session is not None else ():
        if (
            it.is_open
            and it.experiment.spec.market == market
            and alias in {one.model for one in it.experiment.spec.arms}
        ):
            shared = sorted(set(it.tickers) & versions.keys())
            if shared:
                raise TickloomError(
                    f"experiment {it.name} compares {alias} of {', '.join(shared[:5])}: its evidence is of the version "
                    f"that it names now; `tickloom experiment stop {it.name}` first, and start one of another name"
                )
    for ticker, number in versions.items():
        registry.move_alias(market, ticker, alias, number)
    if session is None:
        return alias
    trail.add(session, DEFAULT, [
        Entry(
            id=f"{alias}-{ticker}", time_us=now_us // 1000 * 1000, kind="alias", who=who,
            what=f"{alias} of {ticker} to version {number}", why=why, arm=arm, ticker=ticker, version=str(number),
        )
        for ticker, number in versions.items()
    ])  # fmt: skip
    return alias
