"""What a manifest may say, and what a refused one is told."""

from pathlib import Path

import pytest

from tickloom.errors import ConfigurationError, TickloomError
from tickloom.experiment.manifest import Experiment
from tickloom.manifest.mistakes import PATTERNS
from tickloom.manifest.model import milliseconds
from tickloom.stream.job import StreamJob, load, parse, read_document

SAMPLES = Path(__file__).parents[3] / "manifests" / "samples"
SHORTEST = """apiVersion: tickloom.dev/v1alpha1
kind: StreamJob
metadata: {name: atw}
spec:
  tickers: [ATW]
  market: XCAS
"""


def manifest(**spec):
    return {
        "apiVersion": "tickloom.dev/v1alpha1",
        "kind": "StreamJob",
        "metadata": {"name": "atw"},
        "spec": {"tickers": ["ATW"], "market": "XCAS", **spec},
    }


@pytest.mark.parametrize("path", sorted(SAMPLES.rglob("*.yaml")), ids=lambda path: path.name)
def test_samples_are_valid(path):
    assert load(path).kind == "StreamJob"


def test_the_samples_can_be_applied_together():
    tickers = [ticker for path in SAMPLES.rglob("*.yaml") for ticker in load(path).spec.tickers]
    assert len(tickers) == len(set(tickers))
    assert sum(load(path).spec.dead_letters == "all" for path in SAMPLES.rglob("*.yaml")) == 1


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
        (
            {"processors": {"prices": {"threshold": -1}}},
            "spec.processors.prices.threshold: must be greater than 0 .*-1",
        ),
        ({"processors": {"prices": {"watermark": "tenminutes"}}}, "watermark: 'tenminutes' is not a duration such as"),
        ({"processors": {"prices": {"window": "many"}}}, "window: must be a whole number .given: 'many'"),
        ({"processors": []}, "spec.processors: must be a mapping of fields$"),
        ({"autoscaling": {"mx": 3}}, "spec.autoscaling.mx is unknown; known here: min, max"),
        ({"runtime": {"tolerations": [{"kay": "x"}]}}, "tolerations.0..kay is unknown; known here: key, operator"),
        (
            {"runtime": {"executorPodTemplate": {"podTemplate": {"spec": {}}}}},
            "spec.runtime.executorPodTemplate.podTemplate is unknown; known here: metadata, spec$",
        ),
        ({"runtime": {"podTemplate": {"kind": "Pod"}}}, "spec.runtime.podTemplate.kind is unknown; known here: meta"),
        ({"runtime": {"podTemplate": {"spec": "x"}}}, "spec.runtime.podTemplate.spec: must be a mapping .given: 'x'"),
        ({"tickers": []}, "spec.tickers: needs at least 1 ticker$"),
        ({"tickers": ["ATW"] * 2001}, "spec.tickers: may have at most 2,000 tickers, not 2,001$"),
        ({"tickers": [None]}, "spec.tickers.0.: YAML reads this as empty, and it must be text: put it in quotes"),
        ({"tickers": ["ATW", "ATW"]}, "spec.tickers: ticker 'ATW' is listed twice"),
        ({"tickers": ["AAPL"]}, "spec.tickers: ticker 'AAPL' is in no instrument list of XCAS; known: "),
        ({"tickers": ["ATWW"]}, "spec.tickers: ticker 'ATWW' is in no instrument list of XCAS; did you mean .*ATW"),
        ({"tickers": ["AAPL"]}, "'AAPL' is in no instrument list of XCAS.* the charts' global.market.instruments"),
        ({"tickers": ["Ünï"]}, "spec.tickers\\[0\\]: 'Ünï' is not a ticker: 1 to 16 capital letters"),
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


def test_every_pattern_of_the_manifests_has_words():
    def patterns(schema):
        if isinstance(schema, dict):
            yield from [schema["pattern"]] if isinstance(schema.get("pattern"), str) else []
            schema = list(schema.values())
        for part in schema if isinstance(schema, list) else []:
            yield from patterns(part)

    assert set(patterns([StreamJob.model_json_schema(), Experiment.model_json_schema()])) == set(PATTERNS)


def test_tickers_that_yaml_reads_as_something_else_are_told_alone(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(SHORTEST.replace("[ATW]", "[ON, NO]"))
    with pytest.raises(ConfigurationError) as error:
        load(path)
    assert str(error.value).splitlines() == [
        f"StreamJob atw: spec.tickers[{i}]: YAML reads this as {word}, and it must be text: put it in quotes"
        for i, word in enumerate(("true", "false"))
    ]


def test_a_name_that_kubernetes_would_not_take():
    with pytest.raises(ConfigurationError, match=r"metadata.name: 'My_Job' is not a name: 1 to 63 small letters"):
        parse(manifest() | {"metadata": {"name": "My_Job"}})


def test_a_key_that_stands_twice_is_refused_with_both_lines(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(SHORTEST + "  market: XNYS\n")
    with pytest.raises(ConfigurationError, match=r"job.yaml, line 7: 'market' stands in line 6 already; keep one"):
        load(path)
    path.write_text("base: &base {market: XNYS}\njob: {<<: *base, market: XCAS}\n")
    assert read_document(path)["job"] == {"market": "XCAS"}


def test_files_that_are_no_manifest(tmp_path):
    with pytest.raises(TickloomError, match="is a folder; name the file of a StreamJob"):
        load(tmp_path)
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
