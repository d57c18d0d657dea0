"""What bad input gets: a problem with the field and the fix, and never a stack trace."""

import json
import re

import pytest

from tests.unit.serving.serving import Service
from tickloom.serving.protection.shield import Limits

JSON = {"Content-Type": "application/json"}


def problem(answer, status, kind):
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    told = answer.json()
    assert (told["status"], told["type"]) == (status, f"https://tickloom.dev/problems/{kind}")
    assert re.fullmatch(r"[0-9a-f]{32}", told["request"])
    assert answer.headers["x-request-id"] == told["request"]
    assert not re.search(r'Traceback|File "|\.py\b', answer.text)
    return told


def test_an_answer_has_the_forecast_and_its_intervals():
    answer = Service().post({"ticker": "AAPL", "horizon": 2, "levels": [80]})
    assert answer.status_code == 200
    told = answer.json()
    assert [it["close"] for it in told["forecast"]] == [101.0, 102.0]
    assert told["forecast"][1]["intervals"] == [{"level": 80.0, "lower": 98.0, "upper": 106.0}]
    assert (told["arm"], told["version"], told["degraded"]) == ("champion", "3", None)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_unknown_ticker_is_told_with_near_names():
    told = problem(Service().post({"ticker": "AAPK"}), 404, "unknown-ticker")
    assert told["errors"] == [{"field": "ticker", "problem": "is unknown", "value": "AAPK", "near": ["AAPL"]}]
    assert "near names: AAPL" in told["detail"]


def test_a_ticker_of_another_market_is_told_with_its_own():
    told = problem(Service().post({"ticker": "ATW", "market": "XNYS"}), 404, "unknown-ticker")
    assert "it is known on XCAS" in told["detail"]


def test_while_nothing_is_known_yet_no_ticker_is_unknown():
    service = Service()
    service.answering.catalogue = type(service.answering.catalogue)()
    answer = service.post({"ticker": "AAPL"})
    problem(answer, 503, "not-ready")
    assert answer.headers["retry-after"] == "2"


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"horizon": 0}, "horizon", "greater than or equal to 1"),
        ({"horizon": 400}, "horizon", "less than or equal to 60"),
        ({"horizon": 1.5}, "horizon", "must be a whole number"),
        ({"horizon": "five"}, "horizon", "integer"),
        ({"levels": [0]}, "levels.0", "greater than 0"),
        ({"levels": [80, 100]}, "levels.1", "less than 100"),
        ({"levels": [-5]}, "levels.0", "greater than 0"),
        ({"levels": [True]}, "levels.0", "above 0 and below 100"),
        ({"levels": [1, 2, 3, 4, 5, 6]}, "levels", "must have at most 5 items, not 6"),
        ({"levels": 80}, "levels", "must be a list"),
        ({"as_of": "yesterday"}, "as_of", "date"),
        ({"as_of": "2024-02-31"}, "as_of", "must be a date of the calendar"),
        ({"why": "yes"}, "why", "must be true or false"),
        ({"ticker": "aapl"}, "ticker", "must be a ticker: 1 to 16 capital letters, digits"),
        ({"ticker": 7}, "ticker", "must be text"),
        ({"ticker": None}, "ticker", "must be text"),
        ({"market": "New York"}, "market", "must be four capital letters"),
        ({"horizons": 5}, "horizons", "is unknown; leave it out"),
    ],
)
def test_a_field_that_cannot_be_is_named_with_what_it_may_be(given, field, said):
    told = problem(Service().post({"ticker": "AAPL", **given}), 422, "invalid-request")
    assert [it["field"] for it in told["errors"]] == [field]
    assert said in told["errors"][0]["problem"]
    assert field in told["detail"]


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("field", ["levels", "horizon"])
def test_what_is_no_number_is_refused(field, text):
    value = f"[{text}]" if field == "levels" else text
    body = f'{{"ticker": "AAPL", "{field}": {value}}}'
    told = problem(Service().ask("POST", "/v1/forecast", JSON, content=body), 422, "invalid-request")
    assert told["errors"][0]["field"].startswith(field)


def test_an_as_of_in_the_future_is_told_with_the_last_session():
    told = problem(Service().post({"ticker": "AAPL", "as_of": "2024-03-11"}), 422, "as-of-in-the-future")
    assert told["errors"] == [{"field": "as_of", "problem": "must not be after 2024-03-08", "value": "2024-03-11"}]
    assert Service().post({"ticker": "AAPL", "as_of": "2024-03-08"}).status_code == 200


def test_a_horizon_beyond_the_model_is_told_with_its_own():
    told = problem(Service().post({"ticker": "AAPL", "horizon": 6}), 422, "horizon-too-long")
    assert told["errors"][0]["problem"] == "must be at most 5"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"ticker": "AAPL"', b"[" * 5000])
def test_what_is_no_json(body):
    answer = Service().ask("POST", "/v1/forecast", JSON, content=body)
    assert answer.status_code in (400, 422)
    problem(answer, answer.status_code, "not-json" if answer.status_code == 400 else "invalid-request")


@pytest.mark.parametrize("body", [b"null", b"[]", b'"AAPL"', b"7"], ids=["null", "list", "text", "number"])
def test_json_that_is_no_object(body):
    told = problem(Service().ask("POST", "/v1/forecast", JSON, content=body), 422, "invalid-request")
    assert told["errors"][0]["problem"] in ("must be an object with the fields of /docs", "is missing")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
def test_another_content_type(kind):
    headers = {"Content-Type": kind} if kind else {}
    told = problem(Service().ask("POST", "/v1/forecast", headers, content=b"{}"), 415, "wrong-content-type")
    assert told["errors"][0]["problem"] == "must be application/json"


def test_a_body_that_is_packed():
    headers = {**JSON, "Content-Encoding": "gzip"}
    problem(Service().ask("POST", "/v1/forecast", headers, content=b"{}"), 415, "wrong-content-encoding")


class Pours:
    """A client that sends for as long as it is listened to."""

    def __init__(self, parts, part=b"x" * 65_536):
        self.left, self.part, self.read = parts, part, 0

    async def __aiter__(self):
        while self.left:
            self.left -= 1
            self.read += len(self.part)
            yield self.part


@pytest.mark.parametrize("told_length", [True, False])
def test_a_body_of_ten_megabytes_is_not_read(told_length):
    pours = Pours(160)
    headers = {**JSON, **({"Content-Length": str(160 * 65_536)} if told_length else {})}
    answer = Service().ask("POST", "/v1/forecast", headers, content=pours)
    told = problem(answer, 413, "body-too-large")
    assert "262144 bytes" in told["detail"]
    assert answer.headers["connection"] == "close"
    assert pours.read <= (0 if told_length else 5 * 65_536)


def test_a_body_that_comes_in_parts_is_read_whole():
    body = json.dumps({"ticker": "AAPL"}).encode()
    answer = Service().ask("POST", "/v1/forecast", JSON, content=Pours(1, body))
    assert answer.status_code == 200


@pytest.mark.parametrize("length", ["-1", "ten", "1" * 30])
def test_a_length_that_is_none(length):
    problem(Service().ask("POST", "/v1/forecast", {**JSON, "Content-Length": length}, content=b"{}"), 413,
            "body-too-large")  # fmt: skip


def test_a_body_that_does_not_come():
    class Hangs:
        async def __aiter__(self):
            import asyncio

            yield b"{"
            await asyncio.sleep(30)

    service = Service(limits=Limits(body_s=0.05))
    problem(service.ask("POST", "/v1/forecast", JSON, content=Hangs()), 408, "body-too-slow")
    assert service.gate.in_flight == 0


def test_an_answer_that_takes_too_long():
    service = Service(limits=Limits(time_s=0.05))
    service.inference.pause_s = 5
    problem(service.post({"ticker": "AAPL"}), 504, "too-slow")
    assert service.gate.in_flight == 0


def test_an_unknown_path_and_a_wrong_method():
    problem(Service().ask("GET", "/v2/forecast"), 404, "unknown-path")
    answer = Service().ask("GET", "/v1/forecast")
    assert "allowed: POST" in problem(answer, 405, "wrong-method")["detail"]


def test_what_breaks_inside_is_told_without_its_trace(capsys):
    service = Service()

    def breaks(*_):
        raise RuntimeError("secret of the inside")

    service.answering.route = breaks
    answer = service.post({"ticker": "AAPL"})
    told = problem(answer, 500, "failed")
    assert "secret" not in answer.text
    assert told["request"] in capsys.readouterr().out


def test_a_batch_refuses_each_ticker_for_itself():
    answer = Service().post({"tickers": ["AAPL", "AAPK"], "horizon": 1}, "/v1/forecast/batch")
    told = answer.json()
    assert answer.status_code == 200
    assert [it and it["ticker"] for it in told["forecasts"]] == ["AAPL", None]
    assert told["problems"][1]["errors"][0]["near"] == ["AAPL"]


@pytest.mark.parametrize(
    ("tickers", "said"),
    [
        ([], "must have at least 1 item"),
        (["AAPL"] * 257, "must have at most 256 items"),
        (["AAPL", "x" * 33], "must have at most 32 characters"),
        (["AAPL", ""], "must have at least 1 character"),
        ("AAPL", "must be a list"),
    ],
)
def test_a_batch_that_cannot_be(tickers, said):
    told = problem(Service().post({"tickers": tickers}, "/v1/forecast/batch"), 422, "invalid-request")
    assert told["errors"][0]["problem"].startswith(said)


def test_an_ill_formed_ticker_of_a_batch_is_refused_alone():
    told = Service().post({"tickers": ["AAPL", "aapl", "not a ticker"], "horizon": 1}, "/v1/forecast/batch").json()
    assert [it and it["ticker"] for it in told["forecasts"]] == ["AAPL", None, None]
    assert [it and it["status"] for it in told["problems"]] == [None, 404, 404]
    assert told["problems"][1]["errors"][0]["near"] == ["AAPL"]


def test_the_id_of_a_request_is_kept_where_it_is_plain():
    answer = Service().ask("GET", "/v1/tickers", {"X-Request-Id": "desk-7"})
    assert answer.headers["x-request-id"] == "desk-7"
    for wrong in ("a b", "x" * 65, "<script>"):
        answer = Service().ask("GET", "/v1/tickers", {"X-Request-Id": wrong})
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
