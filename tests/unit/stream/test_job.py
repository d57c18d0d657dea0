"""What a manifest may say, and what a refused one is told."""

from pathlib import Path

import pytest

from tickloom.errors import TickloomError
from tickloom.stream.job import load, parse
from tickloom.stream.model import milliseconds

SAMPLES = Path(__file__).parents[3] / "manifests" / "samples"


def manifest(**spec):
    return {
        "apiVersion": "tickloom.dev/v1alpha1",
        "kind": "StreamJob",
        "metadata": {"name": "atw"},
        "spec": {"tickers": ["ATW"], "market": "XCAS", **spec},
    }


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_samples_are_valid(path):
    assert load(path).kind == "StreamJob"


def test_the_shortest_manifest_is_complete():
    spec = parse(manifest()).spec
    assert spec.processors.prices.window == 30
    assert spec.processors.prices.threshold == 2.0
    assert spec.processors.bars.intervals == ("5m", "1d")
    assert len(spec.processors.bars.indicators) == 12
    assert spec.dead_letters == "own"


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"market": "XPAR"}, "StreamJob atw: spec.market: market 'XPAR' is unknown; known: XCAS, XNYS"),
        ({"tickerz": []}, "StreamJob atw: spec.tickerz is unknown; known here: tickers, market"),
        ({"processors": {"bars": {"indicators": ["rsi_15x"]}}}, "spec.processors.bars.indicators: .*rsi_15x"),
        ({"processors": {"bars": {"intervals": ["7m"]}}}, "spec.processors.bars.intervals\\[0\\]: .*'5m'"),
        ({"processors": {"prices": {"windw": 3}}}, "spec.processors.prices.windw is unknown; known here: window"),
        ({"processors": {"prices": {"threshold": -1}}}, "spec.processors.prices.threshold: .*greater than 0.*-1"),
        ({"tickers": []}, "spec.tickers: .*at least 1"),
        ({"tickers": ["ATW", "ATW"]}, "spec.tickers: ticker 'ATW' is listed twice"),
        ({"tickers": ["AAPL"]}, "'AAPL' is in no instrument list of XCAS"),
        ({"tickers": ["Ünï"]}, "spec.tickers\\[0\\]: "),
        ({"deadLetters": "some"}, "spec.deadLetters: .*'own' or 'all'"),
    ],
)
def test_a_mistake_is_named_with_its_path_and_the_known_values(spec, sentence):
    with pytest.raises(TickloomError, match=sentence):
        parse(manifest(**spec))


def test_all_mistakes_are_told_at_once():
    with pytest.raises(TickloomError) as error:
        parse(manifest(tickers=[], deadLetters="x"))
    assert len(str(error.value).splitlines()) == 2


def test_files_that_are_no_manifest(tmp_path):
    with pytest.raises(TickloomError, match="no such file"):
        load(tmp_path / "absent.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")
    with pytest.raises(TickloomError, match="not readable as YAML"):
        load(broken)
    broken.write_text("")
    with pytest.raises(TickloomError, match="holds 0 documents"):
        load(broken)


def test_durations():
    assert [milliseconds(text) for text in ("5ms", "2s", "10m", "1h", "1d")] == [
        5,
        2000,
        600_000,
        3_600_000,
        86_400_000,
    ]
