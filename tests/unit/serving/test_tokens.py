"""Tokens of an issuer: what counts, what is forged, and what happens while the issuer is away."""

import asyncio
import base64
import json
import time

import pytest

from tests.unit.serving.issuer import AUDIENCE, EC, ISSUER, OTHER, RSA, Issuer, public, token
from tests.unit.serving.serving import Service
from tickloom.serving.problems import ProblemError
from tickloom.serving.protection.admission import Admission
from tickloom.serving.protection.rates import Rates
from tickloom.serving.protection.tokens import KeySet, Tokens


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def checks(issuer, clock=time.monotonic, wall=time.time):
    return Tokens(ISSUER, AUDIENCE, KeySet(ISSUER, issuer.client(), clock), wall)


def check(given, issuer=None):
    return asyncio.run(checks(issuer or Issuer()).check(given))


def why(given, issuer=None, status=401):
    with pytest.raises(ProblemError) as caught:
        check(given, issuer)
    assert caught.value.status == status
    if status == 401:
        assert 'error="invalid_token"' in caught.value.headers["WWW-Authenticate"]
    return caught.value.detail


@pytest.mark.parametrize(("key", "kid", "algorithm"), [(RSA, "one", "RS256"), (EC, "two", "ES256")])
def test_a_token_of_the_issuer_counts(key, kid, algorithm):
    holder = check(token(key, kid, algorithm))
    assert (holder.name, holder.markets) == ("desk", frozenset({"XNYS"}))


@pytest.mark.parametrize(
    ("claims", "markets"),
    [
        ({"scope": "forecast:XNYS forecast:XCAS email"}, {"XNYS", "XCAS"}),
        ({"scope": "forecast:*"}, None),
        ({"without": ("scope",), "scp": ["forecast:XCAS"]}, {"XCAS"}),
    ],
)
def test_scopes_are_markets(claims, markets):
    assert check(token(**claims)).markets == (None if markets is None else frozenset(markets))


@pytest.mark.parametrize("scope", ["", "openid", "forecasts:XNYS"])
def test_a_token_without_a_scope_for_forecasts(scope):
    assert "ask the issuer for forecast:MARKET" in why(token(scope=scope), status=403)


def none_algorithm():
    def part(it):
        return base64.urlsafe_b64encode(json.dumps(it).encode()).rstrip(b"=").decode()

    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "exp": int(time.time()) + 99, "scope": "forecast:*"}
    return f"{part({'alg': 'none', 'kid': 'one'})}.{part(claims)}."


def tampered():
    head, _, tail = token().split(".")
    claims = base64.urlsafe_b64encode(json.dumps({"sub": "root", "scope": "forecast:*"}).encode()).rstrip(b"=").decode()
    return f"{head}.{claims}.{tail}"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda: token(exp=int(time.time()) - 60), "has expired"),
        (lambda: token(nbf=int(time.time()) + 600), "does not count yet"),
        (lambda: token(aud="another"), "another audience than tickloom"),
        (lambda: token(iss="https://other.test"), "another issuer"),
        (lambda: token(without=("exp",)), "no claim exp"),
        (lambda: token(without=("aud",)), "no claim aud"),
        (lambda: token(without=("iss",)), "no claim iss"),
        (lambda: token(without=("sub",)), "no claim sub"),
        (lambda: token(OTHER), "signature does not fit"),
        (lambda: token("a secret of thirty-two characters", "one", "HS256"), "must be RS256 or ES256"),
        (lambda: token(EC, "one", "ES256"), "not that of the issuer's key"),
        (lambda: token(kid="nine"), "no key of the token's kid"),
        (none_algorithm, "must be RS256 or ES256"),
        (tampered, "signature does not fit"),
        (lambda: "no.token.atall", "cannot be read"),
        (lambda: "x" * 9000, "longer than 8192"),
    ],
)
def test_what_does_not_count(given, said):
    assert said in why(given())


def test_a_key_of_the_issuer_may_not_be_taken_for_a_secret():
    """A public key used as the secret of an HMAC is a known forgery."""
    forged = token(public(RSA, "one", "RS256")["n"], "one", "HS256")
    assert "must be RS256 or ES256" in why(forged)


def test_what_was_checked_is_remembered_no_longer_than_the_token_counts():
    async def run():
        clock, wall = Clock(), Clock()
        wall.now = time.time()
        tokens = checks(Issuer(), clock, wall)
        short = token(exp=int(wall.now) + 2)
        first = await tokens.check(short)
        assert await tokens.check(short) is first
        wall.now += 13  # two seconds, and the leeway of ten
        assert await tokens.check(short) is not first

    asyncio.run(run())


def test_unknown_keys_are_looked_for_no_more_than_every_half_minute():
    async def run():
        clock, issuer = Clock(), Issuer()
        tokens = checks(issuer, clock)
        await tokens.check(token())
        assert len(issuer.asked) == 2
        for _ in range(5):
            with pytest.raises(ProblemError):
                await tokens.check(token(OTHER, "three"))
        assert len(issuer.asked) == 2
        issuer.keys.append(public(OTHER, "three", "RS256"))
        clock.now += 31
        assert (await tokens.check(token(OTHER, "three"))).name == "desk"
        assert len(issuer.asked) == 4

    asyncio.run(run())


def test_while_the_issuer_is_away_its_keys_count_for_an_hour():
    async def run():
        clock, issuer = Clock(), Issuer()
        tokens = checks(issuer, clock)
        await tokens.check(token())
        issuer.away = True
        clock.now += 3590
        assert (await tokens.check(token(jti="2"))).name == "desk"
        await asyncio.sleep(0.01)
        assert len(issuer.asked) == 3  # it was asked, in the background
        clock.now += 31
        with pytest.raises(ProblemError) as caught:
            await tokens.check(token(jti="3"))
        assert (caught.value.status, caught.value.headers["Retry-After"]) == (503, "30")
        issuer.away = False
        clock.now += 31
        assert (await tokens.check(token(jti="4"))).name == "desk"

    asyncio.run(run())


@pytest.mark.parametrize(
    "change", [{"name": "https://evil.test"}, {"jwks_uri": "http://issuer.test/keys"}], ids=["name", "plain"]
)
def test_an_issuer_that_is_not_who_it_should_be_is_not_believed(change):
    issuer = Issuer()
    vars(issuer).update(change)
    assert "does not answer" in why(token(), issuer, 503)


def test_over_http_a_token_may_ask_for_its_markets_alone():
    def ask(ticker, **claims):
        service = Service(admit=Admission(None, checks(Issuer()), Rates()))
        return service.post({"ticker": ticker}, Authorization=f"Bearer {token(**claims)}")

    assert ask("AAPL").status_code == 200
    assert ask("ATW").json()["detail"] == "market: desk may ask for XNYS, not for XCAS"
    assert ask("ATW", scope="forecast:*").status_code == 200
    assert ask("AAPL", aud="another").status_code == 401
