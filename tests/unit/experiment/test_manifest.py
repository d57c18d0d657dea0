"""What an experiment's file may hold, and what is said of mistakes."""

import json
from pathlib import Path

import pytest
import yaml

from tests.unit.experiment.made import ARMS, document, experiment
from tickloom.errors import ConfigurationError
from tickloom.experiment.manifest import TAG, check_together, from_tags, load, parse
from tickloom.experiment.page import EXAMPLE

CHAMPION = {"name": "champion", "weight": 0.9}
LSTM = {"name": "lstm", "weight": 0.1}
GBM = {"name": "gbm", "shadow": True}
SAMPLE = Path(__file__).parents[3] / "manifests" / "experiments" / "lstm-on-casablanca.yaml"


def test_little_is_needed():
    spec = experiment(mode=None, arms=[{"name": "champion"}, {"name": "lstm"}]).spec
    assert (spec.mode, spec.stickiness, spec.tickers, spec.canary) == ("championChallenger", "client", None, None)
    assert [arm.model for arm in spec.arms] == ["champion", "challenger-lstm"]
    assert (spec.guardrails.error_rate, spec.guardrails.window, spec.guardrails.least_requests) == (0.01, "5m", 200)
    assert (spec.end.alpha, spec.end.horizon, spec.end.decision) == (0.05, 1, "automatic")


def test_names_and_eligibility():
    found = experiment(tickers=["ATW", "IAM"])
    assert (found.name, found.salt, found.arms) == ("lstm-on-casablanca", "lstm-on-casablanca", ("champion", "lstm"))
    assert experiment(salt="other").salt == "other"
    assert found.takes("XCAS", "ATW")
    assert not found.takes("XCAS", "BCP")
    assert not found.takes("XNYS", "ATW")
    assert experiment().takes("XCAS", "BCP")
    assert found.arm("lstm").weight == 0.1


@pytest.mark.parametrize(("given", "model"), [(7, "7"), ("7", "7"), ("candidate_2", "candidate_2")])
def test_an_arm_is_an_alias_or_a_version(given, model):
    assert experiment(arms=[CHAMPION, {**LSTM, "model": given}]).arm("lstm").model == model


def test_the_sample_is_read():
    (found,) = load(SAMPLE)
    assert found.name == SAMPLE.stem
    assert found.spec.canary is not None
    assert found.spec.guardrails.coverage is not None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"market": "XPAR"}, "spec.market: market 'XPAR' is unknown; known: XCAS, XNYS"),
        ({"market": None}, "spec.market is missing"),
        ({"tickers": ["ATV"]}, "spec.tickers: ticker 'ATV' is in no instrument list of XCAS; did you mean "),
        ({"tickers": ["ATW", "ATW"]}, "spec.tickers: ticker 'ATW' is listed twice"),
        ({"tickers": []}, "spec.tickers: needs at least 1 ticker"),
        ({"tickers": ["a b"]}, "spec.tickers[0]: 'a b' is not a ticker"),
        ({"mode": "abtest"}, "spec.mode: must be 'fixed', 'canary', 'thompson', 'epsilonGreedy' or 'champion"),
        ({"stickiness": "header"}, "spec.stickiness: 'header' is not what stays with its arm: client"),
        ({"stickiness": "header:X Desk"}, "spec.stickiness: 'header:X Desk' is not what stays with its arm"),
        ({"stickiness": "header:Authorization"}, "spec.stickiness: 'header:Authorization' would write a secret"),
        ({"salt": ""}, "spec.salt: "),
        ({"arms": None}, "spec.arms is missing"),
        ({"arms": [CHAMPION]}, "spec.arms: needs at least 2 arms"),
        ({"arms": [CHAMPION, {**LSTM, "weight": 1}]}, "spec.arms: the weights of arms that are no shadows sum to 1.9"),
        ({"arms": [CHAMPION, {"name": "lstm"}]}, "spec.arms[1].weight: is missing, and other arms have one"),
        ({"arms": [{"name": "champion"}, {"name": "lstm"}]}, "spec.arms[0].weight: is missing"),
        ({"arms": [CHAMPION, LSTM, LSTM]}, "spec.arms: 2 arms have the name 'lstm'"),
        ({"arms": [{**CHAMPION, "name": "old"}, LSTM]}, "spec.arms: none is named 'champion'"),
        ({"arms": [{"name": "champion", "shadow": True}, {**LSTM, "weight": 1}]}, "spec.arms[0].shadow: the champion"),
        ({"arms": [*ARMS, {**GBM, "weight": 0.1}]}, "spec.arms[2].weight: 0.1 of a shadow, which answers nobody"),
        ({"arms": [CHAMPION, {**LSTM, "weight": -0.1}]}, "spec.arms[1].weight: must be greater than or equal to 0"),
        ({"arms": [CHAMPION, {**LSTM, "weight": float("nan")}]}, "spec.arms[1].weight: must be "),
        ({"arms": [CHAMPION, {**LSTM, "weight": "ten"}]}, "spec.arms[1].weight: must be a number (given: 'ten')"),
        ({"arms": [CHAMPION, {**LSTM, "name": "LSTM"}]}, "spec.arms[1].name: 'LSTM' is not a name"),
        ({"arms": [CHAMPION, {**LSTM, "model": "a b"}]}, "spec.arms[1].model: 'a b' is not an alias or a version"),
        ({"arms": [CHAMPION, {**LSTM, "wieght": 1}]}, "spec.arms[1].wieght is unknown; known here: name, model"),
        ({"mode": "canary"}, "spec.canary: mode canary needs it"),
        ({"mode": "canary", "canary": {"arm": "gbm"}}, "spec.canary.arm: 'gbm' is no arm that could be let in"),
        ({"canary": {"arm": "champion"}}, "spec.canary.arm: 'champion' is no arm that could be let in"),
        ({"canary": {"arm": "lstm", "steps": [0.1, 0.05]}}, "spec.canary.steps[1]: 0.05 is not above the step"),
        ({"canary": {"arm": "lstm", "steps": [2]}}, "spec.canary.steps[0]: must be less than or equal to 1"),
        ({"canary": {"arm": "lstm", "every": "soon"}}, "spec.canary.every: 'soon' is not a duration"),
        ({"mode": "thompson", "arms": [{"name": "champion"}, GBM]}, "spec.arms: mode thompson needs 2 arms"),
        ({"bandit": {"epsilon": 1.5}}, "spec.bandit.epsilon: must be less than or equal to 1"),
        ({"guardrails": {"errorRate": 1}}, "spec.guardrails.errorRate: must be less than 1"),
        ({"guardrails": {"p99": "60"}}, "spec.guardrails.p99: '60' is not a duration"),
        ({"guardrails": {"window": "2h"}}, "spec.guardrails.window: window '2h' must be from 1s to 1h"),
        ({"guardrails": {"leastRequests": 0}}, "spec.guardrails.leastRequests: must be greater than or equal to 1"),
        ({"guardrails": {"coverage": {"level": 90}}}, "spec.guardrails.coverage.level: must be 80 or 95 (given: 90)"),
        ({"guardrails": {"coverage": {"level": 80, "least": 0.9}}}, "spec.guardrails.coverage.least: 0.9 is more"),
        ({"end": {"alpha": 0}}, "spec.end.alpha: must be greater than 0"),
        ({"end": {"alpha": 0.5}}, "spec.end.alpha: must be less than or equal to 0.2"),
        ({"end": {"horizon": 0}}, "spec.end.horizon: must be greater than or equal to 1"),
        ({"end": {"horizon": 400}}, "spec.end.horizon: must be less than or equal to 250"),
        ({"end": {"leastSessions": 300}}, "spec.end.leastSessions: 300 is more than mostSessions, 250"),
        ({"end": {"decision": "never"}}, "spec.end.decision: must be 'automatic' or 'approve'"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_path(change, said):
    with pytest.raises(ConfigurationError) as error:
        parse(document(**change))
    assert f"Experiment lstm-on-casablanca: {said}" in str(error.value)


def test_every_mistake_is_said_at_once():
    with pytest.raises(ConfigurationError) as error:
        parse(
            document(
                tickers=["ATV", "ATW", "ATW"],
                arms=[{"name": "old", "weight": 0.5}, {**GBM, "weight": 0.2}, {"name": "lstm", "weight": 0.1}],
                stickiness="ip",
                end={"alpha": 2},
                guardrails={"window": "9d"},
            )
        )
    said = str(error.value).splitlines()
    assert len(said) == 8
    assert len(set(said)) == 8


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"kind": "StreamJob"}, "kind: must be 'Experiment' (given: 'StreamJob')"),
        ({"apiVersion": "v2"}, "apiVersion: must be 'tickloom.dev/v1alpha1'"),
        ({"metadata": {"name": "default"}}, "metadata.name: 'default' is the name of what has no experiment"),
        ({"metadata": {"name": "Big"}}, "metadata.name: 'Big' is not a name"),
    ],
)
def test_the_head_is_checked(part, said):
    with pytest.raises(ConfigurationError) as error:
        parse({**document(), **part})
    assert said in str(error.value)


def test_what_is_no_mapping_is_refused():
    with pytest.raises(ConfigurationError, match=r"exp\.yaml: holds no mapping with an Experiment"):
        parse(["a"], "exp.yaml")


def write(path, *documents):
    path.write_text(yaml.safe_dump_all(documents))


def test_the_example_of_the_page_is_read():
    (found,) = yaml.safe_load_all(EXAMPLE)
    assert parse(found).spec.mode == "canary"


def test_a_folder_is_read_as_a_config_map_is_mounted(tmp_path):
    inner = tmp_path / "..2026_11_22"
    inner.mkdir()
    write(inner / "one.yaml", document("one", tickers=["ATW"]))
    (tmp_path / "one.yaml").symlink_to(inner / "one.yaml")
    (tmp_path / "..data").symlink_to(inner)
    (tmp_path / "two.json").write_text(json.dumps(document("two", tickers=["IAM"])))
    (tmp_path / "notes.txt").write_text("{")
    assert [found.name for found in load(tmp_path)] == ["one", "two"]


def test_an_empty_folder_has_no_experiment(tmp_path):
    assert load(tmp_path) == ()


def test_a_file_may_hold_several(tmp_path):
    write(tmp_path / "all.yaml", document("one", tickers=["ATW"]), document("two", tickers=["IAM"]))
    assert [found.name for found in load(tmp_path / "all.yaml")] == ["one", "two"]


def test_mistakes_of_all_files_are_said_with_their_files(tmp_path):
    write(tmp_path / "a.yaml", document("one", market="XPAR"))
    (tmp_path / "b.yaml").write_text("spec: {")
    (tmp_path / "c.yaml").write_text("")
    with pytest.raises(ConfigurationError) as error:
        load(tmp_path)
    said = str(error.value)
    assert f"{tmp_path}/a.yaml: Experiment one: spec.market" in said
    assert f"{tmp_path}/b.yaml: not readable as YAML" in said
    assert f"{tmp_path}/c.yaml: holds no Experiment" in said
    with pytest.raises(ConfigurationError, match="there is no such file"):
        load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (["ATW", "IAM"], ["BCP", "IAM"], "Experiments one and two: both take IAM; a ticker takes part in one"),
        (None, ["IAM"], "Experiments one and two: both take IAM"),
        (None, None, "Experiments one and two: both take every ticker of XCAS"),
    ],
)
def test_two_that_take_one_ticker_are_refused(tmp_path, one, other, said):
    write(tmp_path / "all.yaml", document("one", tickers=one), document("two", tickers=other))
    with pytest.raises(ConfigurationError) as error:
        load(tmp_path)
    assert said in str(error.value)


def test_other_markets_and_tickers_are_no_clash():
    check_together([experiment("one", market="XNYS"), experiment("two")])
    check_together([experiment("one", tickers=["ATW"]), experiment("two", tickers=["IAM"])])


def test_two_of_one_name_are_refused():
    with pytest.raises(ConfigurationError, match="Experiment one: there are two of this name"):
        check_together([experiment("one", tickers=["ATW"]), experiment("one", tickers=["IAM"])])


def test_a_tag_holds_one():
    found = from_tags({TAG: json.dumps(document()), "other": "x"}, "tickloom.XCAS.ATW")
    assert found == experiment()
    assert from_tags({TAG: yaml.safe_dump(document())}, "tickloom.XCAS.ATW") == found
    assert from_tags({"other": "x"}, "tickloom.XCAS.ATW") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not readable as YAML"),
        ("", "holds 0 documents"),
        ("a: 1\na: 2", "line 2: 'a' stands in line 1 already"),
        (json.dumps(document(market="XPAR")), "Experiment lstm-on-casablanca: spec.market: market 'XPAR' is unknown"),
    ],
)
def test_a_wrong_tag_is_named(text, said):
    with pytest.raises(ConfigurationError) as error:
        from_tags({TAG: text}, "tickloom.XCAS.ATW")
    assert f"tag {TAG} of tickloom.XCAS.ATW" in str(error.value)
    assert said in str(error.value)
