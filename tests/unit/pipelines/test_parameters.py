"""What the command line makes of parameters before anything is started."""

import pytest

from tickloom.cli.pipelining import parameters
from tickloom.errors import TickloomError

ACCEPTED = {
    "tickers": "LIST", "models": "LIST", "market": "STRING", "options": "STRUCT", "limits": "STRUCT",
    "arms": "STRUCT", "least": "NUMBER_INTEGER", "gpus": "STRING", "node_selector": "STRUCT",
    "horizon": "NUMBER_INTEGER",
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
        ({"param": ["nothing=1"]}, "retrain takes no nothing; it takes arms, gpus"),
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
