"""JSON Web Tokens of an OpenID Connect issuer."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import structlog

from tickloom.serving.problems import ProblemError

log = structlog.get_logger(__name__)
ALGORITHMS = ("RS256", "ES256")
_AGAIN_S = 30.0
_FRESH_S = 600.0
_STALE_S = 3600.0
_REMEMBER_S = 60.0
_REMEMBERED = 4096
_LEEWAY_S = 10.0
_LONGEST = 8192
_SCOPE = "forecast:"


@dataclass(frozen=True)
class Holder:
    """Who a token speaks for.

    Attributes
    ----------
    name : str
        Its subject.
    markets : frozenset of str or None
        Of its scopes ``forecast:MARKET``; None for ``forecast:*``.
    """

    name: str
    markets: frozenset[str] | None


class KeySet:
    """The issuer's public keys, found by its discovery document (OpenID Connect Discovery 1.0, section 4).

    They are fetched when first needed, again in the background after ten minutes, and when a token names one that is
    unknown, but never more often than every 30 s. While the issuer is away those fetched before count for an hour.

    Parameters
    ----------
    issuer
        Its address.
    client
        Fetches.
    clock
        Seconds that only rise.
    """

    def __init__(self, issuer: str, client: httpx.AsyncClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer, self._client, self._clock = issuer, client, clock
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched, self._tried = float("-inf"), float("-inf")
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def get(self, kid: str) -> jwt.PyJWK | None:
        """Return a key, None where the issuer has none of this id.

        Raises
        ------
        ProblemError
            The issuer has been away for too long.
        """
        age = self._clock() - self._fetched
        if age <= _STALE_S and kid in self._keys:
            if age > _FRESH_S and self._may_try() and (self._task is None or self._task.done()):
                self._task = asyncio.create_task(self._fetch())
            return self._keys[kid]
        async with self._lock:
            if self._may_try():
                await self._fetch()
        if self._clock() - self._fetched > _STALE_S:
            raise ProblemError(
                503, "issuer-away", "the issuer of tokens does not answer, and none can be checked; try again, or use "
                "an API key", headers={"Retry-After": str(int(_AGAIN_S))},
            )  # fmt: skip
        return self._keys.get(kid)

    def _may_try(self) -> bool:
        return self._clock() - self._tried >= _AGAIN_S

    async def _fetch(self) -> None:
        self._tried = self._clock()
        try:
            place = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
            found = await self._json(place)
            if found.get("issuer") != self._issuer:
                raise ValueError(f"it calls itself {found.get('issuer')!r}, not {self._issuer!r}")
            held = await self._json(str(found["jwks_uri"]))
            self._keys = {
                key.key_id: key
                for key in jwt.PyJWKSet.from_dict(held).keys
                if key.key_id is not None and key.algorithm_name in ALGORITHMS and key.public_key_use in (None, "sig")
            }
            self._fetched = self._clock()
        except (httpx.HTTPError, httpx.InvalidURL, jwt.PyJWTError, ValueError, KeyError) as error:
            log.warning("the keys of the issuer were not fetched", issuer=self._issuer, error=str(error))

    async def _json(self, place: str) -> dict[str, Any]:
        if self._issuer.startswith("https:") and not place.startswith("https:"):
            raise ValueError(f"{place} is no https address")
        answer = await self._client.get(place, timeout=3.0, follow_redirects=False)
        answer.raise_for_status()
        found = answer.json()
        if not isinstance(found, dict):
            raise ValueError(f"{place} holds no object")
        return found


class Tokens:
    """Checks tokens: signature, issuer, audience, times, scopes.

    ``exp``, ``iss``, ``aud`` and ``sub`` must be there (RFC 9068, section 2.2); ``nbf`` counts where it is there. What
    was checked is remembered for up to a minute.

    Parameters
    ----------
    issuer, audience
        What ``iss`` must be, and what ``aud`` must hold.
    keys
        Of the issuer.
    clock
        Seconds since 1970.
    """

    def __init__(self, issuer: str, audience: str, keys: KeySet, clock: Callable[[], float] = time.time) -> None:
        self._issuer, self._audience, self._keys, self._clock = issuer, audience, keys, clock
        self._known: OrderedDict[bytes, tuple[float, Holder]] = OrderedDict()

    async def check(self, token: str) -> Holder:
        """Return who a token speaks for.

        Raises
        ------
        ProblemError
            401 where it does not count, 403 where it has no scope for forecasts, 503 where the issuer is away.
        """
        if len(token) > _LONGEST:
            raise refused(f"the token is longer than {_LONGEST} characters")
        place = hashlib.sha256(token.encode()).digest()
        known, now = self._known.get(place), self._clock()
        if known is not None and now < known[0]:
            return known[1]
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise refused("the token cannot be read") from None
        if header.get("alg") not in ALGORITHMS:
            raise refused(f"the token's algorithm must be {' or '.join(ALGORITHMS)}")
        kid = header.get("kid")
        key = await self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise refused("the issuer has no key of the token's kid")
        if key.algorithm_name != header["alg"]:
            raise refused("the token's algorithm is not that of the issuer's key")
        claims = self._claims(token, key)
        holder = Holder(str(claims["sub"]), _markets(claims))
        self._known[place] = (min(now + _REMEMBER_S, float(claims["exp"]) + _LEEWAY_S), holder)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return holder

    def _claims(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        try:
            return jwt.decode(
                token, key.key, algorithms=[str(key.algorithm_name)], audience=self._audience, issuer=self._issuer,
                leeway=_LEEWAY_S, options={"require": ["exp", "iss", "aud", "sub"]},
            )  # fmt: skip
        except jwt.ExpiredSignatureError:
            raise refused("the token has expired; ask the issuer for a new one") from None
        except jwt.ImmatureSignatureError:
            raise refused("the token does not count yet") from None
        except jwt.InvalidAudienceError:
            raise refused(f"the token is for another audience than {self._audience}") from None
        except jwt.InvalidIssuerError:
            raise refused(f"the token is of another issuer than {self._issuer}") from None
        except jwt.MissingRequiredClaimError as error:
            raise refused(f"the token has no claim {error.claim}") from None
        except jwt.PyJWTError:
            raise refused("the token's signature does not fit") from None


def refused(why: str) -> ProblemError:
    """Return that a credential does not count."""
    said = {"WWW-Authenticate": 'Bearer realm="tickloom", error="invalid_token"'}
    return ProblemError(401, "not-authenticated", why, headers=said)


def _markets(claims: Mapping[str, Any]) -> frozenset[str] | None:
    told = claims.get("scope", claims.get("scp", ""))
    scopes = told.split() if isinstance(told, str) else [str(it) for it in told] if isinstance(told, list) else []
    found = {it.removeprefix(_SCOPE) for it in scopes if it.startswith(_SCOPE)}
    if not found:
        raise ProblemError(
            403, "no-scope", "scope: the token has none for forecasts; ask the issuer for forecast:MARKET, such as "
            "forecast:XNYS, or forecast:*",
        )  # fmt: skip
    return None if "*" in found else frozenset(found)
