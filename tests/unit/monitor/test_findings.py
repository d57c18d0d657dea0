"""Many findings at once, and what a policy makes of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.monitor.made import finding
from tickloom.errors import ConfigurationError
from tickloom.monitor.decision import Policy, decide
from tickloom.monitor.findings import adjusted, worst

SMALL = st.floats(0.001, 1)


def test_of_many_features_one_must_be_odder_than_alone():
    many = adjusted(
        [finding("features", 0.02, subject="a"), *(finding("features", 0.9, subject=f"b{it}") for it in range(9))]
    )
    assert adjusted([finding("features", 0.02)])[0].adjusted == 0.02
    assert many[0].adjusted == pytest.approx(0.02 * 10 * sum(1 / it for it in range(1, 11)))


def test_families_and_tickers_do_not_pay_for_each_other_unless_they_are_told_to():
    every = [finding(p=0.1), finding("losses", 0.2), finding(p=0.3, ticker="MSFT")]
    assert [it.adjusted for it in adjusted(every)] == [0.1, 0.2, 0.3]
    together = adjusted(every, together=True)
    assert together[0].adjusted == pytest.approx(0.1 * 2 * 1.5)
    assert together[1].adjusted == 0.2


@given(st.lists(SMALL, min_size=1, max_size=12))
def test_adjusting_keeps_the_order_and_never_makes_a_finding_odder(ps):
    found = adjusted(finding("features", p, subject=str(at)) for at, p in enumerate(ps))
    assert all(it.adjusted >= it.p - 1e-12 for it in found)
    by_p = sorted(found, key=lambda it: it.p)
    assert [it.adjusted for it in by_p] == sorted(it.adjusted for it in by_p)
    assert worst(found, "features").adjusted == min(it.adjusted for it in found)


@pytest.mark.parametrize(
    ("rule", "drift", "loss", "retrain"),
    [
        ("both", True, True, True), ("both", True, False, False), ("both", False, True, False),
        ("any", True, False, True), ("any", False, True, True), ("any", False, False, False),
        ("drift", True, False, True), ("drift", False, True, False),
        ("loss", False, True, True), ("loss", True, False, False),
    ],
)  # fmt: skip
def test_rules(rule, drift, loss, retrain):
    findings = [finding(p=0.001 if drift else 1.0), finding("losses", 0.001 if loss else 1.0, subject="champion")]
    found = decide(findings, Policy(rule, 0.5))
    assert found.retrain is retrain
    assert f"rule {rule}" in found.why
    assert found.evidence["target_p"] == findings[0].p


def test_a_feature_is_drift_too_at_a_level_of_its_own():
    hurt = finding("losses", 0.001)
    assert decide([finding(), finding("features", 0.05), hurt]).retrain
    assert not decide([finding(), finding("features", 0.3), hurt]).retrain


def test_the_cool_down_ends_when_its_sessions_are_over():
    findings = [finding(p=0.001), finding("losses", 0.001)]
    cooling = decide(findings, Policy(cool_down=30), since=29)
    assert not cooling.retrain
    assert "trained 29 sessions ago, and cool_down is 30 sessions" in cooling.why
    assert decide(findings, Policy(cool_down=30), since=30).retrain


def test_without_matured_losses_nothing_agrees():
    found = decide([finding(p=0.001)])
    assert not found.retrain
    assert "no losses are known" in found.why


@given(SMALL, SMALL, SMALL)
def test_odder_findings_never_stop_a_retraining(drift, loss, by):
    def of(factor):
        return decide([finding(p=drift * factor), finding("losses", loss * factor)]).retrain

    assert of(by) or not of(1.0)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"rule": "all"}, "rule 'all' is unknown; known: both, any, drift, loss"),
        ({"false_alarms": 0}, "false_alarms 0 a year must be above 0"),
        ({"feature_level": 1}, "feature_level 1 must lie between 0 and 1"),
        ({"cool_down": -1}, "cool_down -1 must be 0 sessions or more"),
    ],
)
def test_a_policy_says_what_is_wrong_with_it(given_, said):
    with pytest.raises(ConfigurationError, match=said):
        Policy(**given_)
