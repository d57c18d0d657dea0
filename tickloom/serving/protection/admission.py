"""Who asks, and whether it may."""

from collections.abc import Mapping
from typing import Protocol

from limits import RateLimitItem

from tickloom.serving.problems import ProblemError
from tickloom.serving.protection.keys import Keys, looks_like_key, rate_of
from tickloom.serving.protection.rates import Rates
from tickloom.serving.protection.tokens import Tokens, refused
from tickloom.serving.routed import Caller

_HOW = "send Authorization: Bearer with an API key or a token, or X-API-Key"


class Admits(Protocol):
    """Says who asks."""

    async def __call__(self, headers: Mapping[str, str], address: str) -> Caller:
        """Return who asks; raises a ProblemError where nobody may."""


class Admission:
    """Lets callers in by key or token, as often as each may; everybody where neither is set up.

    Parameters
    ----------
    keys, tokens
        Where there are some.
    rates
        Counts.
    rate
        Of callers whose key has none; None for no limit.
    """

    def __init__(self, keys: Keys | None, tokens: Tokens | None, rates: Rates, rate: str | None = None) -> None:
        self._keys, self._tokens, self._rates = keys, tokens, rates
        self._usual = None if rate is None else rate_of(rate)
        self._read: dict[str, RateLimitItem] = {}

    async def __call__(self, headers: Mapping[str, str], address: str) -> Caller:
        """Return who asks.

        Raises
        ------
        ProblemError
            401 for no credential or one that does not count, 403 for one without a scope, 429 for too many requests,
            503 where the issuer of tokens is away.
        """
        if self._keys is None and self._tokens is None:
            return await self._counted(Caller(address, headers), self._usual, f"address:{address}")
        offered = _offered(headers)
        if self._keys is not None and (self._tokens is None or looks_like_key(offered)):
            entry = self._keys.find(offered) if looks_like_key(offered) else None
            if entry is None:
                raise refused("the API key is unknown or has expired; `tickloom keys new` makes one")
            rate = self._usual if entry.rate is None else self._rate(entry.rate)
            return await self._counted(Caller(entry.name, headers, entry.scope()), rate, f"key:{entry.name}")
        assert self._tokens is not None
        holder = await self._tokens.check(offered)
        return await self._counted(Caller(holder.name, headers, holder.markets), self._usual, f"sub:{holder.name}")

    def _rate(self, text: str) -> RateLimitItem:
        if text not in self._read:
            self._read[text] = rate_of(text)
        return self._read[text]

    async def _counted(self, caller: Caller, rate: RateLimitItem | None, who: str) -> Caller:
        if rate is not None:
            await self._rates.take(rate, who)
        return caller


def _offered(headers: Mapping[str, str]) -> str:
    given = headers.get("authorization")
    if given is not None:
        kind, _, value = given.partition(" ")
        if kind.lower() == "bearer" and value.strip():
            return value.strip()
        raise refused(f"the header Authorization is of another kind; {_HOW}")
    if key := headers.get("x-api-key", "").strip():
        return key
    raise ProblemError(401, "not-authenticated", f"nobody says who asks; {_HOW}", headers={"WWW-Authenticate": _REALM})


_REALM = 'Bearer realm="tickloom"'
