"""What the command line makes of parameters before anything is started."""

import pytest

from tickloom.cli.pipelining import parameters
from tickloom.errors import TickloomError

ACCEPTED = {
    "tickers": "LIST", "models": "LIST", "market": "STRING", "options": "STRUCT", "limits": "STRUCT",
    "arms": "STRUCT", "least": "NUMBER_INTEGER", "gpus": "STRING", "node_selector": "STRUCT",
    **dict.fromkeys(("horizon", "folds", "test", "gate"), "NUMBER_INTEGER"),
}  # fmt: skip


def given(**own):
    words = {
        "tickers": "AAPL",
        "models": None,
        "market": "XNYS",
        "option": None,
        "limit": None,
        "arm": None,
        "param": None,
    }
    return parameters(ACCEPTED, "retrain", **{**words, **own})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("least=800", 800),
        ("gpus=1", "1"),
        ('gpus="1"', "1"),
        ('node_selector={"gpu": "l4"}', {"gpu": "l4"}),
        ("market=XPAR", "XPAR"),
    ],
)
def test_a_parameter_has_the_type_that_the_pipeline_has_for_it(text, value):
    name = text.partition("=")[0]
    own = {"market": None} if name == "market" else {}
    assert given(param=[text], **own)[name] == value


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"param": ["least=abc"]}, "--param least=abc: must be a whole number"),
        ({"param": ["least=true"]}, "must be a whole number"),
        ({"param": ["node_selector=gpu"]}, "must be an object in JSON"),
        ({"param": ["nothing=1"]}, "retrain takes no nothing; it takes arms, folds, gate, gpus"),
        ({"models": "prophet"}, "model 'prophet' is unknown"),
        ({"models": "ridge", "option": ["ridge.nothing=3"]}, "option nothing is unknown"),
        ({"models": "lstm", "option": ["lstm.epochs=many"]}, "epochs 'many' must be a whole number"),
        ({"limit": ["nothing=1"]}, "limit 'nothing' is unknown; known: "),
        ({"tickers": "../AAPL"}, "'../AAPL' must match"),
    ],
)
def test_what_a_step_would_refuse_later_is_refused_now(own, said):
    with pytest.raises(TickloomError) as error:
        given(**own)
    assert said in str(error.value)


def without_limits(accepted):
    return {name: kind for name, kind in accepted.items() if name not in ("limits", "arms")}


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"folds": 1, "test": 60}, "give 60 forecasts of the walk-forward, and intervals need 101"),
        ({"param": ["folds=1", "test=100"]}, "take folds 2 or test 101"),
        ({"gate": 43}, "gate 43 gives 39 cutoffs with outcomes 5 sessions ahead"),
        ({"gate": 43}, "take gate 44 or more, or a limit sessions of 20 or more"),
        ({"gate": 60, "horizon": 22}, "horizon 22 wants so many); take gate 65"),
        ({"gate": 80, "horizon": 30, "limit": ["sessions=20"]}, "take gate 89 or more"),
    ],
)
def test_a_run_of_which_the_gate_could_pass_nothing_is_refused(own, said):
    with pytest.raises(TickloomError) as error:
        given(**own)
    assert said in str(error.value)


@pytest.mark.parametrize(
    "own", [{"folds": 1, "test": 101}, {"gate": 44}, {"gate": 24, "limit": ["sessions=20"]}, {"folds": 101, "test": 1}]
)
def test_the_least_plan_is_taken(own):
    assert given(**own)["tickers"] == ["AAPL"]


def test_a_pipeline_without_a_gate_may_have_fewer_folds():
    words = dict.fromkeys(("models", "option", "limit", "arm", "param"))
    found = parameters(
        without_limits(ACCEPTED), "evaluate-only", tickers="AAPL", market="XNYS", folds=1, test=60, **words
    )
    assert (found["folds"], found["test"]) == (1, 60)
