"""Catalogue, cache and sessions."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from tickloom.market.sessions import days_of
from tickloom.serving.cache import LocalCache, RedisCache
from tickloom.serving.catalogue import Catalogue
from tickloom.serving.places import market_of
from tickloom.serving.problems import ProblemError
from tickloom.serving.routed import Caller
from tickloom.serving.sessions import Standings

FOUND = {
    ("XNYS", "AAPL"): {"champion": 1, "challenger-lstm": 3},
    ("XNYS", "MSFT"): {"champion": 2},
    ("XCAS", "ATW"): {"champion": 1},
    ("XNYS", "OLD"): {},
}


def test_the_catalogue_knows_versions_by_alias_and_number():
    known = Catalogue.of(FOUND)
    assert known.version("XNYS", "AAPL", "challenger-lstm") == "3"
    assert known.version("XNYS", "AAPL", "7") == "7"
    assert known.version("XNYS", "MSFT", "challenger-lstm") is None
    assert known.version("XNYS", "NONE", "7") is None
    assert known.markets_of("ATW") == ["XCAS"]
    assert known.markets_of("OLD") == []


@pytest.mark.parametrize(
    ("ticker", "market", "near"), [("APPL", None, ["AAPL"]), ("aapl", None, ["AAPL"]), ("AAPL", "XCAS", [])]
)
def test_near_names_are_of_the_market(ticker, market, near):
    assert Catalogue.of(FOUND).near(ticker, market) == near


def test_a_version_that_is_not_ready_leaves_the_one_of_before():
    before = Catalogue.of(FOUND)
    after = Catalogue.of({**FOUND, ("XNYS", "AAPL"): {"champion": 4, "challenger-new": 4, "challenger-lstm": 5}})
    new = [it for it in after.wanted() if it not in before.wanted()]
    assert [it["version"] for it in new] == ["4", "5"]
    kept = after.with_ready(before, [(it, "no bars") for it in new if it["version"] == "4"])
    assert kept.aliases["XNYS", "AAPL"] == {"champion": "1", "challenger-lstm": "5"}
    assert kept.aliases["XNYS", "MSFT"] == {"champion": "2"}
    assert kept.waiting == {("XNYS", "AAPL"): "version 4: no bars"}
    assert kept.trouble() is None


def test_where_no_version_is_ready_it_is_said_why():
    found = Catalogue.of({("XNYS", "AAPL"): {"champion": 1}, ("XCAS", "ATW"): {"champion": 2}})
    kept = found.with_ready(Catalogue(), [(it, "678 sessions are missing") for it in found.wanted()])
    assert kept.trouble() == (
        "no model is ready: ATW on XCAS, version 2: 678 sessions are missing, and so on for 2 tickers"
    )
    assert Catalogue().trouble() == "the registry holds no model"
    with pytest.raises(ProblemError, match="AAPL on XNYS has a model that is not ready, version 1: 678") as caught:
        market_of(kept, "AAPL", None, Caller("me", {}))
    assert caught.value.status == 503


def test_what_is_kept_expires_and_the_least_used_goes_first():
    now = [0.0]

    async def run():
        cache = LocalCache(2, lambda: now[0])
        await cache.put(("a",), {"model": "a"}, 10)
        await cache.put(("b",), {"model": "b"}, 20)
        assert await cache.get(("a",)) == {"model": "a"}
        await cache.put(("c",), {"model": "c"}, 20)
        assert await cache.get(("b",)) is None
        now[0] = 10.0
        assert await cache.get(("a",)) is None
        assert await cache.get(("c",)) == {"model": "c"}
        await cache.put(("d",), {"model": "d"}, 0)
        assert await cache.get(("d",)) is None

    asyncio.run(run())


class Redis:
    """As much of Redis' protocol as the cache speaks, in a dictionary."""

    def __init__(self):
        self.held = {}
        self.asked = 0

    async def talk(self, reader, writer):
        def bulk(value):
            return b"_\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)

        while line := await reader.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int((await reader.readline())[1:])
                words.append((await reader.readexactly(size + 2))[:-2])
            command = words[0].upper()
            self.asked += 1
            if command == b"GET":
                writer.write(bulk(self.held.get(words[1])))
            elif command == b"PTTL":
                writer.write(b":5000\r\n")
            elif command == b"SET":
                self.held[words[1]] = words[2]
                writer.write(b"+OK\r\n")
            elif command == b"HELLO":
                writer.write(b"%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n")
            else:
                writer.write(b"+OK\r\n")
        writer.close()


def test_replicas_share_what_redis_keeps():
    async def run():
        redis = Redis()
        server = await asyncio.start_server(redis.talk, "127.0.0.1", 0)
        url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        one, other = RedisCache(url, LocalCache()), RedisCache(url, LocalCache())
        key = ("XNYS", "AAPL", "1", (20000, 10.5), (0.8,), None, False)
        assert await one.get(key) is None
        await one.put(key, {"model": "ridge"}, 5)
        assert await other.get(key) == {"model": "ridge"}
        asked = redis.asked
        assert await other.get(key) == {"model": "ridge"}
        assert redis.asked == asked
        assert [json.loads(it) for it in redis.held.values()] == [{"model": "ridge"}]
        server.close()

    asyncio.run(run())


def test_without_redis_the_process_keeps_its_own():
    async def run():
        cache = RedisCache("redis://127.0.0.1:1/0", LocalCache())
        assert await cache.get(("a",)) is None
        await cache.put(("a",), {"model": "a"}, 5)
        assert await cache.get(("a",)) == {"model": "a"}

    asyncio.run(run())


def at(*when):
    return datetime(*when, tzinfo=UTC).timestamp()


def test_a_market_stands_at_its_last_close():
    now = [at(2026, 11, 20, 20, 59)]  # a Friday; New York closes at 21:00 UTC
    standings = Standings(lambda: now[0])
    thursday, friday = (days_of(datetime(2026, 11, day).date()) for day in (19, 20))
    before = standings.of("XNYS")
    assert before.last == thursday
    assert before.behind(thursday) == 0
    assert before.ttl_s(thursday, now[0]) == 60
    now[0] = at(2026, 11, 20, 21, 0)
    after = standings.of("XNYS")
    assert after.last == friday
    assert after.behind(thursday) == 1
    assert after.ttl_s(thursday, now[0], late_s=7) == 7
    assert after.ttl_s(friday, now[0]) == 3 * 86_400
    assert standings.next_days("XNYS", friday, 2) == [friday + 3, friday + 4]
