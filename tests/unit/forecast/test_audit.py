"""The audit finds each planted leak, where it is, and nothing in what is honest."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from tickloom.bench.leaks import LEAKS, centred
from tickloom.cli import audit as verb
from tickloom.errors import TickloomError
from tickloom.forecast import audit as module
from tickloom.forecast.audit import audit, features_of
from tickloom.forecast.disturbed import CHANGES, changed, made_inputs
from tickloom.forecast.models import BASELINES
from tickloom.forecast.news import closes_us, sentiment_at_close


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_is_found_where_it_is(name):
    leak = LEAKS[name]
    found = leak.caught_by()
    assert leak.subject in found[leak.check]
    # and in nothing else, but for what is the leak's own: all columns of a shifted or scaled frame
    assert set(found) == {leak.check}
    if leak.check == "feature" and name not in {"one session late", "standardised by the whole series"}:
        assert found["feature"] == {leak.subject}


def test_ten_leaks_are_planted():
    assert len(LEAKS) >= 10


def test_honest_features_models_and_evaluation_have_none():
    asked = []
    assert audit(report=asked.append) == []
    assert {"features", "walk-forward", *BASELINES, "ridge_recursive"} <= set(asked)


def test_a_change_leaves_all_until_its_session_and_nothing_after():
    inputs, last = made_inputs(300), 250
    others = changed(inputs, last)
    assert tuple(others) == CHANGES
    close = closes_us(inputs.history)[last]
    for name, other in others.items():
        for column in ("day", "open", "high", "low", "close", "volume"):
            before, after = (getattr(it.history, column) for it in (inputs, other))
            np.testing.assert_array_equal(before[: last + 1], after[: last + 1])
            if column != "day" and name != "truncated":
                assert (before[last + 1 :] != after[last + 1 :]).mean() > 0.9
        known = [it.known_us <= close for it in (inputs, other)]
        np.testing.assert_array_equal(inputs.score[known[0]], other.score[known[1]])
        np.testing.assert_array_equal(inputs.dividend[: last + 1], other.dividend[: last + 1])
    assert len(others["truncated"].history) == last + 1


def test_sentiment_after_the_close_belongs_to_the_next_session():
    history = made_inputs(30).history
    closes = closes_us(history)
    found = sentiment_at_close(history, [closes[4], closes[4] + 1, closes[5], closes[-1] + 1], [0.5, -1.0, 0.2, 0.9])
    assert found["sentiment"][4] == 0.5
    assert found["sentiment"][5] == pytest.approx(-0.4)
    assert np.expm1(found["news"][5]) == pytest.approx(2)
    assert found["sentiment"][6:].any() == np.False_


def run(*arguments):
    return CliRunner().invoke(verb.app, ["leakage", *arguments], catch_exceptions=False)


def test_the_verb_says_that_nothing_leaks():
    result = run("--model", "drift", "--model", "ridge", "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 0
    assert answer["findings"] == []
    assert answer["models"] == ["drift", "ridge"]
    assert len(answer["features"]) == len(features_of(made_inputs(300)).names)


def test_the_verb_exits_with_1_where_something_leaks(monkeypatch):
    monkeypatch.setattr(module, "features_of", centred)
    result = run("--model", "drift", "--json")
    [finding, *_] = json.loads(result.stdout)["findings"]
    assert result.exit_code == 1
    assert (finding["check"], finding["subject"]) == ("feature", "to_average")
    shown = run("--model", "drift")
    assert shown.exit_code == 1
    assert "to_average" in shown.stdout


def test_an_unknown_model_is_a_sentence():
    with pytest.raises(TickloomError, match="did you mean ridge"):
        run("--model", "rigde")


def test_help_ends_with_an_example():
    text = CliRunner().invoke(verb.app, ["leakage", "--help"]).stdout
    assert "Example: tickloom audit leakage" in text.strip().splitlines()[-1]
