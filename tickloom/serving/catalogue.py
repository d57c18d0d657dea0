"""Which versions of which tickers' models there are to ask, as the registry's aliases say."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tickloom.serving.wire import Wanted

Aliases = Mapping[str, str]
"""Version by alias."""


@dataclass(frozen=True)
class Catalogue:
    """The tickers that can be forecast.

    Attributes
    ----------
    aliases : dict of (market, ticker) to dict of str to str
        Version by alias, as text.
    waiting : dict of (market, ticker) to str
        Why versions that aliases name are not ready.
    """

    aliases: Mapping[tuple[str, str], Aliases] = field(default_factory=dict)
    waiting: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def of(cls, found: Mapping[tuple[str, str], Mapping[str, int]]) -> "Catalogue":
        """Return the catalogue of what a registry has; tickers without an alias cannot be asked for."""
        return cls({key: {name: str(at) for name, at in it.items()} for key, it in found.items() if it})

    def markets_of(self, ticker: str) -> list[str]:
        """Return the markets on which a ticker can be forecast."""
        return self._markets.get(ticker, [])

    @cached_property
    def _markets(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for market, ticker in sorted(self.aliases):
            found.setdefault(ticker, []).append(market)
        return found

    def near(self, ticker: str, market: str | None, count: int = 3) -> list[str]:
        """Return names that look like one that is unknown."""
        names = sorted({name for where, name in self.aliases if market in (None, where)})
        return difflib.get_close_matches(ticker.upper(), names, count, 0.5)

    def version(self, market: str, ticker: str, model: str) -> str | None:
        """Return the version that an alias names; a number names itself."""
        aliases = self.aliases.get((market, ticker), {})
        return aliases.get(model) or (model if model.isdigit() and aliases else None)

    def wanted(self) -> list[Wanted]:
        """Return every version that an alias names, once."""
        return [
            {"market": market, "ticker": ticker, "version": version}
            for (market, ticker), it in sorted(self.aliases.items())
            for version in sorted(set(it.values()))
        ]

    def with_ready(self, before: "Catalogue", failed: Sequence[tuple[Wanted, str]]) -> "Catalogue":
        """Return this catalogue with the versions of before where a new one could not be made ready.

        An alias that named nothing before is left out then.

        Parameters
        ----------
        before
        failed
            Versions, and why they are not ready.
        """
        wrong = {(it["market"], it["ticker"], it["version"]) for it, _ in failed}
        if not wrong:
            return self
        waiting = {(it["market"], it["ticker"]): f"version {it['version']}: {why}" for it, why in failed}
        made: dict[tuple[str, str], dict[str, str]] = {}
        for key, aliases in self.aliases.items():
            kept = {}
            for name, version in aliases.items():
                if (*key, version) not in wrong:
                    kept[name] = version
                elif (old := before.aliases.get(key, {}).get(name)) is not None:
                    kept[name] = old
            if kept:
                made[key] = kept
        return Catalogue(made, waiting)

    def trouble(self) -> str | None:
        """Return why no ticker can be forecast, None where one can."""
        if self.aliases:
            return None
        if not self.waiting:
            return "the registry holds no model"
        (market, ticker), why = min(self.waiting.items())
        more = f", and so on for {len(self.waiting)} tickers" if len(self.waiting) > 1 else ""
        return f"no model is ready: {ticker} on {market}, {why}{more}"
