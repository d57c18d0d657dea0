"""Keys, their file, and rates."""

import hashlib
import json
import os
import time
from datetime import UTC, date, datetime

import pytest
import yaml
from structlog.testing import capture_logs
from typer.testing import CliRunner

from tests.unit.serving.serving import Service
from tickloom.cli import keys as verb
from tickloom.errors import ConfigurationError
from tickloom.serving.protection.admission import Admission
from tickloom.serving.protection.keys import Keys, new_key
from tickloom.serving.protection.rates import Rates


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "keys.yaml"

    def write(*entries):
        path.write_text(yaml.safe_dump({"keys": list(entries)}))
        os.utime(path, ns=(time.time_ns(), time.time_ns()))
        return path

    write()
    return write


def admits(file, *entries, rate=None):
    return Service(admit=Admission(Keys(file(*entries)), None, Rates(), rate))


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def test_a_key_lets_in_and_bounds_the_markets(file):
    key, entry = new_key("desk", ["XNYS"])
    service = admits(file, entry)
    for headers in (bearer(key), {"X-API-Key": key}, {"Authorization": f"bearer  {key} "}):
        assert service.post({"ticker": "AAPL"}, **headers).status_code == 200
    answer = service.post({"ticker": "ATW"}, **bearer(key))
    assert (answer.status_code, answer.json()["detail"]) == (403, "market: desk may ask for XNYS, not for XCAS")
    assert {it["market"] for it in service.ask("GET", "/v1/tickers", bearer(key)).json()} == {"XNYS"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic ZGVzazpz"},
        {"Authorization": "Bearer"},
        {"X-API-Key": "desk.wrong-wrong-wrong-wrong"},
        {"X-API-Key": "nobody.wrong-wrong-wrong-wrong"},
        {"X-API-Key": "é" * 20},
        {"Authorization": "Bearer a.b.c"},
    ],
    ids=str,
)
def test_nobody_else_gets_in(file, headers):
    _, entry = new_key("desk", ["XNYS"])
    service = admits(file, entry)
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = service.post({"ticker": "AAPL"}, **encoded)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="tickloom"')
    assert service.inference.asked == []


def test_what_comes_without_a_key_is_not_read(file):
    class Read:
        count = 0

        async def __aiter__(self):
            Read.count += 1
            yield b"{}"

    service = admits(file)
    answer = service.ask("POST", "/v1/forecast", {"Content-Type": "application/json"}, content=Read())
    assert (answer.status_code, Read.count) == (401, 0)


def test_health_and_documents_ask_for_no_key(file):
    service = admits(file)
    for path in ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"):
        assert service.ask("GET", path).status_code == 200, path
    assert service.ask("GET", "/v1/tickers").status_code == 401
    service.trouble = "the registry holds no model"
    answer = service.ask("GET", "/readyz")
    assert (answer.status_code, answer.text) == (503, "the registry holds no model\n")


def test_a_key_counts_to_the_end_of_its_last_day(file):
    key, entry = new_key("desk", ["*"], expires=date(2024, 3, 8), today=date(2024, 3, 8))
    for moment, found in ((datetime(2024, 3, 8, 23, 59, tzinfo=UTC), True), (datetime(2024, 3, 9, tzinfo=UTC), False)):
        keys = Keys(file(entry), clock=moment.timestamp)
        assert (keys.find(key) is not None) is found


def test_the_file_is_read_again_when_it_changes_and_a_wrong_one_changes_nothing(file):
    now = [1000.0]
    first, one = new_key("one", ["XNYS"])
    second, two = new_key("two", ["XCAS"])
    keys = Keys(path := file(one), clock=lambda: now[0])
    assert keys.find(second) is None
    file(one, two)
    now[0] += 2
    assert keys.find(second).scope() == frozenset({"XCAS"})
    path.write_text("keys: [{name: one, sha256: " + first + "}]")
    now[0] += 2
    with capture_logs() as said:
        assert keys.find(second) is not None
    assert "keys.0.sha256" in said[0]["error"]
    assert first not in str(said)
    file(two)
    now[0] += 2
    assert keys.find(first) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must hold one document"),
        ("[]", "wrong: the file"),
        ("keys: [{name: desk}]", "keys.0.markets, keys.0.sha256"),
        (f"keys: [{{name: desk, sha256: {'0' * 64}, markets: [New York]}}]", "keys.0.markets.0"),
        (f"keys: [{{name: desk, sha256: '{'0' * 64}', markets: [XNYS], rate: often}}]", "keys.0.rate"),
        ("keys: [", "not readable as YAML"),
    ],
)
def test_a_file_that_is_wrong_at_first_ends_the_start(tmp_path, text, said):
    path = tmp_path / "keys.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        Keys(path)
    with pytest.raises(ConfigurationError, match="there is no such file"):
        Keys(tmp_path / "missing.yaml")


def test_a_caller_that_asks_too_often_is_told_when_to_come_back(file):
    key, entry = new_key("desk", ["*"], rate="3/minute")
    other, second = new_key("other", ["*"])
    service = admits(file, entry, second)
    assert [service.post({"ticker": "AAPL"}, **bearer(key)).status_code for _ in range(3)] == [200] * 3
    answer = service.post({"ticker": "AAPL"}, **bearer(key))
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (429, "rate-limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["ratelimit-policy"] == '"caller";q=3;w=60'
    assert service.post({"ticker": "AAPL"}, **bearer(other)).status_code == 200


def test_without_keys_an_address_has_the_usual_rate():
    service = Service(admit=Admission(None, None, Rates(), "2/minute"))
    assert [service.post({"ticker": "AAPL"}).status_code for _ in range(3)] == [200, 200, 429]


def test_while_redis_is_away_each_process_counts_for_itself():
    service = Service(admit=Admission(None, None, Rates("redis://127.0.0.1:1/0"), "2/minute"))
    with capture_logs() as said:
        assert [service.post({"ticker": "AAPL"}).status_code for _ in range(3)] == [200, 200, 429]
    assert sum("rates are not shared" in it["event"] for it in said) == 1


def test_keys_new_prints_the_key_once_and_an_entry_without_it(tmp_path):
    result = CliRunner().invoke(
        verb.app, ["new", "desk", "--market", "XNYS", "--rate", "100/second", "--expires", "2030-01-01", "--json"],
        catch_exceptions=False,
    )  # fmt: skip
    told = json.loads(result.stdout)
    assert told["entry"] == {
        "name": "desk", "sha256": hashlib.sha256(told["key"].encode()).hexdigest(), "markets": ["XNYS"],
        "rate": "100/second", "expires": "2030-01-01",
    }  # fmt: skip
    result = CliRunner().invoke(verb.app, ["new", "desk", "--market", "XNYS"], catch_exceptions=False)
    key, _, entry = result.stdout.partition("\n\n")
    path = tmp_path / "keys.yaml"
    path.write_text("keys:\n" + entry)
    assert Keys(path).find(key).name == "desk"
    assert key not in entry


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["Desk", "--market", "XNYS"], "name: 'Desk' is not a name"),
        (["desk", "--market", "New York"], "markets: 'New York' is unknown"),
        (["desk", "--market", "XNYS", "--market", "XPAR"], "markets: 'XPAR' is unknown; known: XCAS, XNYS"),
        (["desk", "--market", "XNYS", "--expires", "2020-12-31"], "expires: 2020-12-31 is past, for today is 20"),
        (["desk", "--market", "XNYS", "--rate", "often"], "rate: must be a rate such as 100/second"),
        (["desk", "--market", "XNYS", "--rate", "0/second"], "rate: must be a rate such as 100/second"),
    ],
)
def test_keys_new_refuses_what_cannot_be(given, said):
    with pytest.raises(ConfigurationError, match=said):
        CliRunner().invoke(verb.app, ["new", *given], catch_exceptions=False)
