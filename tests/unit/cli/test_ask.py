"""``tickloom ask`` against the routes of the service."""

import asyncio
import json

import httpx
import pytest
from typer.testing import CliRunner

from tests.unit.serving.serving import Service
from tickloom.cli import ask
from tickloom.client import ServiceError, UnavailableError, calls
from tickloom.errors import TickloomError


@pytest.fixture
def service(monkeypatch):
    found, sent, real = Service(), [], httpx.Client

    async def through(request):
        async with found.client() as client:
            answer = await client.request(
                request.method, request.url.path, content=request.content, headers=request.headers
            )
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def answer(request):
        sent.append(request)
        return asyncio.run(through(request))

    transport = httpx.MockTransport(answer)
    monkeypatch.setattr(calls.httpx, "Client", lambda **given: real(**{**given, "transport": transport}))
    monkeypatch.delenv("TICKLOOM_KEY", raising=False)
    found.sent = sent
    return found


def run(*given):
    return CliRunner().invoke(ask.app, list(given), catch_exceptions=False)


def test_a_forecast_is_printed_as_one_of_this_machine(service):
    lines = run("AAPL", "--horizon", "2", "--level", "90").stdout.strip().splitlines()
    assert lines[0].split() == ["session", "ahead", "close", "change", "90", "%"]
    assert lines[2].split() == ["2024-03-11", "1", "101.00", "+1.00%", "99.00", "to", "103.00"]
    assert lines[-1] == (
        "ridge (version 3) from the close of 2024-03-08, 100.00; against the random walk: indistinguishable"
    )


def test_why_names_the_features(service):
    assert "rsi_14                   +0.1000 %" in run("AAPL", "--why").stdout


def test_a_degraded_answer_says_so(service):
    service.answering.closes["XNYS", "AAPL"] = (19_788, 50.0)
    service.inference.away = ConnectionError("gone")
    found = run("AAPL")
    assert "degraded: this is the last close" in found.stderr
    assert "the close of 2024-03-06 is the last one known; 2 sessions have ended since" in found.stderr


def test_json_is_the_answer_of_the_service(service):
    told = json.loads(run("AAPL", "--json", "--as-of", "2024-03-08").stdout)
    assert (told["ticker"], len(told["forecast"]), told["freshness"]["cutoff"]) == ("AAPL", 5, "2024-03-08")


def test_a_problem_is_its_sentence(service):
    with pytest.raises(ServiceError, match="ticker: AAPK has no model; near names: AAPL"):
        run("AAPK")


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--level", "nan", "levels: nan is not a finite number"),
        ("--level", "inf", "levels: inf is not a finite number"),
        ("--deadline", "inf", "--deadline inf is no number of seconds"),
    ],
)
def test_a_number_that_is_none(service, option, value, said):
    with pytest.raises(TickloomError, match=said):
        run("AAPL", option, value)
    assert service.sent == []


def test_that_it_is_asked_again_is_said_once_and_in_words(monkeypatch):
    real = httpx.Client

    def refuse(request):
        raise httpx.ConnectError("refused")

    transport = httpx.MockTransport(refuse)
    monkeypatch.setattr(calls.httpx, "Client", lambda **given: real(**{**given, "transport": transport}))
    found = CliRunner().invoke(ask.app, ["AAPL"])
    assert isinstance(found.exception, UnavailableError)
    assert found.output == "the service cannot answer now; it is asked again for up to 10 s\n"


def test_the_key_comes_from_a_file_or_the_environment(service, tmp_path, monkeypatch):
    path = tmp_path / "desk.key"
    path.write_text("desk.secret\n")
    run("AAPL", "--key-file", str(path))
    monkeypatch.setenv("TICKLOOM_KEY", "other.secret")
    run("AAPL")
    sent = [it.headers["authorization"] for it in service.sent]
    assert sent == ["Bearer desk.secret", "Bearer other.secret"]


@pytest.mark.parametrize("text", ["", "two words", "a\nb", "clé"])
def test_a_file_that_holds_no_key(service, tmp_path, text):
    path = tmp_path / "desk.key"
    path.write_text(text)
    with pytest.raises(TickloomError, match="must hold a key or a token alone"):
        run("AAPL", "--key-file", str(path))
    with pytest.raises(TickloomError, match="No such file"):
        run("AAPL", "--key-file", str(tmp_path / "missing"))


def test_an_address_that_is_none(service):
    with pytest.raises(TickloomError, match="--url 'localhost:3000' is no address"):
        run("AAPL", "--url", "localhost:3000")
