"""Laws of the hash, and who answers which request."""

import math
import subprocess
import sys
from hashlib import blake2b

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from tests.unit.experiment.made import experiment
from tickloom.errors import ConfigurationError, TickloomError
from tickloom.experiment.modes import Weights
from tickloom.experiment.routing import Assignment, Router, Split

KEYS = [f"client-{number}" for number in range(20_000)]
FEW = KEYS[:400]
NAMES = ("champion", "lstm", "gbm", "tcn")
weights_of = (
    st.lists(st.integers(0, 100), min_size=2, max_size=4)
    .filter(any)
    .map(lambda parts: {name: part / sum(parts) for name, part in zip(NAMES, parts, strict=False)})
)
salts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)

GOLDEN = {
    "client-0": "champion",
    "client-2": "gbm",
    "client-5": "gbm",
    "": "champion",
    "ATW": "champion",
    "IAM": "lstm",
    "desk 7": "lstm",
    "مكتب": "champion",
    "é": "champion",
}
"""Must never change: a client would see another model, and what was recorded could not be had again."""


def test_golden_hashes():
    split = Split("lstm-on-casablanca", {"champion": 0.5, "lstm": 0.3, "gbm": 0.2})
    assert {key: split.arm(key) for key in GOLDEN} == GOLDEN


def test_the_hash_is_what_the_page_says():
    weights = {"champion": 0.5, "lstm": 0.3, "gbm": 0.2}
    split = Split("salt", weights)
    for key in FEW:
        draws = {}
        for arm, weight in weights.items():
            digest = blake2b(f"salt\0{arm}\0{key}".encode(), digest_size=8).hexdigest()
            draws[arm] = -math.log((int(digest[:13], 16) + 0.5) / 2**52) / weight
        assert split.arm(key) == min(draws, key=draws.__getitem__)


def test_another_process_assigns_alike():
    code = (
        "from tickloom.experiment.routing import Split\n"
        "split = Split('s', {'champion': 0.5, 'lstm': 0.5})\n"
        "print(''.join(split.arm(f'client-{n}')[0] for n in range(300)))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            check=True, capture_output=True, text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }  # fmt: skip
    split = Split("s", {"champion": 0.5, "lstm": 0.5})
    assert said == {"".join(split.arm(key)[0] for key in KEYS[:300])}


@pytest.mark.parametrize(
    "weights",
    [
        {"champion": 0.5, "lstm": 0.5},
        {"champion": 0.99, "lstm": 0.01},
        {"champion": 0.9, "lstm": 0.1, "gbm": 0.0},
        {"champion": 0.4, "lstm": 0.3, "gbm": 0.2, "tcn": 0.1},
    ],
)
@pytest.mark.parametrize("salt", ["one", "two"])
def test_shares_follow_weights(weights, salt):
    split = Split(salt, weights)
    answered = [split.arm(key) for key in KEYS]
    for arm, weight in weights.items():
        assert binomtest(answered.count(arm), len(KEYS), weight).pvalue > 1e-4


@given(salts, weights_of)
@settings(max_examples=40)
def test_shares_follow_any_weights(salt, weights):
    split = Split(salt, weights)
    answered = [split.arm(key) for key in FEW]
    for arm, weight in weights.items():
        # 40 examples of up to 4 arms: a chance of 2e-8 for any of them to fail by itself
        assert binomtest(answered.count(arm), len(FEW), min(weight, 1.0)).pvalue > 1e-10


@given(salts, weights_of, st.text(max_size=40))
def test_a_key_has_one_arm_and_keeps_it(salt, weights, key):
    arm = Split(salt, weights).arm(key)
    assert weights[arm] > 0
    assert Split(salt, dict(reversed(weights.items()))).arm(key) == arm
    assert Split(salt, {name: 7 * weight for name, weight in weights.items()}).arm(key) == arm


@given(salts, weights_of, weights_of)
def test_a_key_moves_only_to_an_arm_that_rose_beside_its_own(salt, before, after):
    one, other = Split(salt, before), Split(salt, after)
    for key in FEW[:100]:
        left, entered = one.arm(key), other.arm(key)
        if left != entered:
            assert after[entered] * before[left] > after.get(left, 0) * before.get(entered, 0)


@given(salts, weights_of)
def test_no_key_moves_between_the_others_when_an_arm_goes(salt, weights):
    gone = next(arm for arm, weight in weights.items() if weight > 0)
    kept = {arm: weight for arm, weight in weights.items() if arm != gone}
    if any(kept.values()):
        one, other = Split(salt, weights), Split(salt, kept)
        assert all(other.arm(key) == one.arm(key) for key in FEW[:100] if one.arm(key) != gone)


def test_no_more_keys_move_than_must():
    one, other = Split("s", {"champion": 0.9, "lstm": 0.1}), Split("s", {"champion": 0.7, "lstm": 0.3})
    moved = [(one.arm(key), other.arm(key)) for key in KEYS if one.arm(key) != other.arm(key)]
    assert set(moved) == {("champion", "lstm")}
    assert binomtest(len(moved), len(KEYS), 0.2).pvalue > 1e-4


def test_salts_deal_independently():
    one, other = (Split(salt, {"champion": 0.5, "lstm": 0.5}) for salt in ("one", "two"))
    same = sum(one.arm(key) == other.arm(key) for key in KEYS)
    assert binomtest(same, len(KEYS), 0.5).pvalue > 1e-4


@pytest.mark.parametrize("weights", [{"champion": 0.0}, {}, {"champion": -1, "lstm": 2}, {"champion": float("nan")}])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(TickloomError, match="each must be 0 or more, and one above 0"):
        Split("s", weights)


def test_who_answers_and_who_follows():
    router = Router(
        [
            experiment(
                arms=[{"name": "champion", "weight": 1}, {"name": "lstm", "weight": 0}, {"name": "gbm", "shadow": True}]
            )
        ]
    )
    assert router.assign("XCAS", "ATW", client="desk") == Assignment(
        "lstm-on-casablanca", "champion", "desk", "one arm", ("lstm", "gbm"), 0
    )  # fmt: skip


def test_the_champion_of_champion_challenger_answers_always():
    router = Router([experiment(mode="championChallenger")])
    found = {router.assign("XCAS", "ATW", client=key) for key in FEW}
    assert {it.arm for it in found} == {"champion"}
    assert {it.shadows for it in found} == {("lstm",)}


def test_each_arm_has_all_others_as_shadows():
    router = Router([experiment()])
    for key in FEW:
        found = router.assign("XCAS", "ATW", client=key)
        assert {found.arm, *found.shadows} == {"champion", "lstm"}
        assert len(found.shadows) == 1


def test_tickers_without_experiment_have_the_champion():
    router = Router([experiment(tickers=["ATW"])])
    expected = Assignment("default", "champion", "desk", "no experiment", ())
    assert router.assign("XCAS", "IAM", client="desk") == expected
    assert router.assign("XNYS", "ATW", client="desk") == expected
    assert Router([]).assign("XCAS", "ATW", client="desk") == expected


def test_each_ticker_has_its_own_experiment():
    router = Router(
        [experiment("one", tickers=["ATW", "BCP"]), experiment("two", tickers=["IAM"]), experiment("us", market="XNYS")]
    )
    asked = [("XCAS", "ATW"), ("XCAS", "BCP"), ("XCAS", "IAM"), ("XNYS", "AAPL"), ("XCAS", "CIH"), ("XNYS", "ATW")]
    found = [router.assign(market, ticker, client="desk").experiment for market, ticker in asked]
    assert found == ["one", "one", "two", "us", "default", "us"]


def test_a_ticker_that_lacks_an_arm_takes_no_part():
    router = Router([experiment()])
    found = router.assign("XCAS", "ATW", client="desk", available={"champion"})
    assert found == Assignment("default", "champion", "desk", "no model for every arm", ())
    assert router.assign("XCAS", "ATW", client="desk", available={"champion", "lstm", "x"}).experiment != "default"


def test_an_arm_that_was_taken_out_is_not_needed_and_no_shadow():
    weights = Weights(3, {"champion": 0.9, "lstm": 0.1}).without("lstm", 4)
    router = Router([experiment()], {"lstm-on-casablanca": weights})
    found = router.assign("XCAS", "ATW", client="desk", available={"champion"})
    assert found == Assignment("lstm-on-casablanca", "champion", "desk", "one arm", (), 4)


@pytest.mark.parametrize(
    ("stickiness", "key", "reason"),
    [
        ("client", "desk", "weights"),
        ("ticker", "ATW", "weights"),
        ("header:X-Desk", "fixed income", "weights"),
        ("header:X-Floor", "desk", "header missing"),
        ("header:X-Empty", "desk", "header missing"),
    ],
)
def test_what_sticks(stickiness, key, reason):
    router = Router([experiment(stickiness=stickiness)])
    found = router.assign("XCAS", "ATW", client="desk", headers={"x-desk": "fixed income", "x-empty": ""})
    assert (found.key, found.reason) == (key, reason)
    assert found.arm == Split("lstm-on-casablanca", {"champion": 0.9, "lstm": 0.1}).arm(key)


def test_an_assignment_is_had_again_from_key_experiment_and_epoch():
    recorded = {0: Weights(0, {"champion": 0.9, "lstm": 0.1}), 1: Weights(1, {"champion": 0.5, "lstm": 0.5})}
    for epoch, weights in recorded.items():
        router = Router([experiment()], {"lstm-on-casablanca": weights})
        for key in FEW:
            found = router.assign("XCAS", "ATW", client=key)
            assert found.epoch == epoch
            assert Split(experiment().salt, recorded[found.epoch].values).arm(found.key) == found.arm


def test_wrong_routers_are_refused():
    with pytest.raises(ConfigurationError, match="both take every ticker"):
        Router([experiment("one"), experiment("two")])
    with pytest.raises(TickloomError, match="unknown experiments: two"):
        Router([experiment("one")], {"two": Weights(0, {"champion": 1.0})})
    with pytest.raises(TickloomError, match="weights of one: gbm unknown; known: champion, lstm"):
        Router([experiment("one")], {"one": Weights(0, {"champion": 0.5, "gbm": 0.5})})
