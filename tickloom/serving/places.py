"""What a caller may ask for, and where it is."""

from collections.abc import Sequence

from tickloom.serving.catalogue import Catalogue
from tickloom.serving.problems import ProblemError
from tickloom.serving.routed import Caller


def market_of(catalogue: Catalogue, ticker: str, market: str | None, caller: Caller) -> str:
    """Return the market on which a ticker is asked for.

    Raises
    ------
    ProblemError
        The ticker is unknown there, the caller may not ask for it, or it is on several markets.
    """
    if market is not None and caller.markets is not None and market not in caller.markets:
        raise _not_yours(caller, market)
    places = catalogue.markets_of(ticker)
    if market is not None:
        if market in places:
            return market
        also = f"; it is known on {', '.join(places)}" if places else ""
        raise _unknown(catalogue, ticker, f" on {market}", market, also)
    if caller.markets is not None and places:
        own = [it for it in places if it in caller.markets]
        if not own:
            raise _not_yours(caller, places[0])
        places = own
    if not places:
        raise _unknown(catalogue, ticker, "", None, "")
    if len(places) > 1:
        raise ProblemError(
            422, "ambiguous-ticker", f"ticker: {ticker} is on {', '.join(places)}; name one as market",
            [{"field": "market", "problem": f"must be one of {', '.join(places)}"}],
        )  # fmt: skip
    return places[0]


def _unknown(catalogue: Catalogue, ticker: str, where: str, market: str | None, also: str) -> ProblemError:
    for (where_, name), why in catalogue.waiting.items():
        if name == ticker and market in (None, where_):
            text = f"{ticker} on {where_} has a model that is not ready, {why}"
            return ProblemError(503, "no-model", text, headers={"Retry-After": "60"})
    if not catalogue.aliases:
        text = "no model is known yet; GET /readyz says why, try again soon"
        return ProblemError(503, "not-ready", text, headers={"Retry-After": "2"})
    near = catalogue.near(ticker, market)
    like = f"; near names: {', '.join(near)}" if near and not also else ""
    detail = f"ticker: {ticker} has no model{where}{also}{like}; GET /v1/tickers lists all"
    return ProblemError(
        404, "unknown-ticker", detail, [{"field": "ticker", "problem": "is unknown", "value": ticker, "near": near}]
    )


def _not_yours(caller: Caller, market: str) -> ProblemError:
    own = ", ".join(sorted(caller.markets or ())) or "none"
    return ProblemError(403, "market-not-allowed", f"market: {caller.name} may ask for {own}, not for {market}")


def known_models(catalogue: Catalogue, markets: frozenset[str] | None) -> Sequence[dict[str, str]]:
    """Return every alias of every ticker that may be asked for."""
    return [
        {"ticker": ticker, "market": market, "alias": alias, "version": version}
        for (market, ticker), it in sorted(catalogue.aliases.items())
        if markets is None or market in markets
        for alias, version in sorted(it.items())
    ]
