"""What the configuration may hold, and what is said of mistakes."""

import pytest

from services.ingest.config import GbmSource, YahooSource, load, parse
from tickloom.errors import ConfigurationError

YAHOO = {"name": "us", "kind": "yahoo", "tickers": ["AAPL", "MSFT"]}
GBM = {"name": "made", "kind": "gbm", "tickers": ["ATW"], "market": "XCAS", "rate": 10}


def test_sources_have_defaults():
    us, made = parse({"sources": [YAHOO, GBM]}).sources
    assert isinstance(us, YahooSource)
    assert (us.market, us.interval, us.every, us.backoff.longest) == ("XNYS", "1m", "60s", "5m")
    assert isinstance(made, GbmSource)
    assert made.rate == 10.0


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "sources: needs a list of at least one source"),
        ({"sources": []}, "sources: needs a list of at least one source"),
        ({"sources": [{"name": "x", "kind": "bloomberg"}]}, "sources[0].kind: 'bloomberg' is unknown; known: gbm"),
        ({"sources": [{**YAHOO, "every": "fast"}]}, "sources[0].every: 'fast' is not a duration"),
        ({"sources": [{**YAHOO, "tickers": []}]}, "sources[0].tickers: needs at least 1 ticker"),
        ({"sources": [{**YAHOO, "seed": 1}]}, "sources[0].seed is unknown; known here: name, jitter"),
        ({"sources": [YAHOO, YAHOO]}, "sources: 2 have the name 'us'"),
        ({"sources": [{**GBM, "rate": -1}]}, "sources[0].rate: must be greater than 0"),
        ({"sources": [{**GBM, "market": "XPAR"}]}, "sources[0].market: must be 'XCAS' or 'XNYS' (given: 'XPAR')"),
        ({"sources": [YAHOO], "topik": "x"}, "topik is unknown"),
        ({"sources": [YAHOO], "topic": "a b"}, "topic: 'a b' is not a topic's name"),
        ({"sources": ["us"]}, "sources[0].kind: None is unknown"),
    ],
)
def test_a_mistake_is_named_with_its_path(document, said):
    with pytest.raises(ConfigurationError) as error:
        parse(document)
    assert said in str(error.value)


def test_every_mistake_is_said_at_once():
    with pytest.raises(ConfigurationError) as error:
        parse({"sources": [{**YAHOO, "every": "x"}, {**GBM, "rate": 0}], "other": 1})
    assert len(str(error.value).splitlines()) == 3


def test_a_file_is_named(tmp_path):
    path = tmp_path / "ingest.yaml"
    with pytest.raises(ConfigurationError, match="there is no such file"):
        load(path)
    path.write_text("- a\n")
    with pytest.raises(ConfigurationError, match="holds no mapping with sources"):
        load(path)
    path.write_text("sources: [{name: us, kind: yahoo, tickers: [AAPL], every: 5s}]\n")
    assert load(path).sources[0].every == "5s"
    path.write_text("sources: [{name: us, kind: yahoo, tickers: [AAPL], every: no}]\n")
    with pytest.raises(ConfigurationError, match=r"ingest.yaml: sources\[0\].every"):
        load(path)
