"""The number of executors follows the load, seldom and far enough."""

import itertools
import math

import pytest

from operators.streamjob.autoscale import decide
from operators.streamjob.seen import Report
from tests.unit.operator.world import World
from tickloom.stream.deployment import Autoscaling

EACH = 1000.0
RESTART_S = 20
STEP_S = 30


def report(arriving, lag, replicas):
    return Report(
        epoch=1, state="running", at=0.0, lag=int(lag), rows_per_second=EACH * replicas, arrival_per_second=arriving
    )


@pytest.mark.parametrize(
    ("arriving", "lag", "replicas", "expected"),
    [
        (500, 0, 1, 1),
        (900, 0, 1, 2),  # 80 % of two
        (2000, 0, 2, 3),
        (700, 0, 3, 2),  # two would be loaded to 35 %, one to 70 %
        (100, 0, 3, 1),
        (1500, 0, 3, 3),  # two would be loaded to 75 %: more than 60 %
        (500, 1_200_000, 1, 3),  # the backlog of twenty minutes within ten
        (100_000, 0, 2, 8),
        (0, 0, 8, 1),
        (100, 2_000_000, 4, 4),  # not fewer while a backlog is worked off
    ],
)
def test_the_load_decides(arriving, lag, replicas, expected):
    rules = Autoscaling(min=1, max=8)
    assert decide(rules, report(arriving, lag, replicas), replicas)[0] == expected


def test_unknown_rates_change_nothing():
    rules = Autoscaling(min=1, max=8)
    assert decide(rules, Report(epoch=1, state="running", at=0.0), 3)[0] == 3


def simulate(load, hours, **rules):
    """Return the executors over time and the largest lag, for a load in records a second by second."""
    world = World(installed=frozenset({"SparkApplication"}))
    world.spec["autoscaling"] = {"min": 1, "max": 8, "stabilization": "5m", **rules}
    world.spec["source"] = {"minPartitions": 16}
    world.settle()
    lag, down_until, history, worst = 0.0, 0.0, [], 0.0
    begin = world.now
    for second in range(0, hours * 3600, STEP_S):
        world.now = begin + second
        replicas = max(1, world.status.replicas)
        arriving = load(second)
        up = max(0.0, min(STEP_S, world.now + STEP_S - down_until))
        lag = max(0.0, lag + arriving * STEP_S - EACH * replicas * up)
        worst = max(worst, lag)
        if world.now >= down_until:
            world.run(checks=10, lag=int(lag), rows_per_second=EACH * replicas, arrival_per_second=arriving)
        before = world.status.epoch
        world.settle(looks=3, seconds=0)
        if any(driver.deleting for driver in world.drivers.values()):
            world.terminate()
            world.settle(looks=3, seconds=0)
        if world.status.epoch != before:
            down_until = world.now + RESTART_S
        history.append(world.status.replicas)
    return history, worst, world


def changes(history):
    return sum(a != b for a, b in itertools.pairwise(history))


def test_a_step_of_the_load_leads_to_two_changes_at_most():
    history, _, _ = simulate(lambda s: 500 if s < 3600 else 3500 if s < 3 * 3600 else 500, 6)
    up, down = history[: 3 * 3600 // STEP_S], history[3 * 3600 // STEP_S :]
    assert changes(up) <= 2
    assert changes(down) <= 2
    assert up[-1] >= 4
    assert down[-1] == 1


def test_a_sine_leads_to_few_changes_and_the_lag_stays_bounded():
    period = 6 * 3600
    history, worst, _ = simulate(lambda s: 2000 - 1500 * math.cos(2 * math.pi * s / period), 12)
    levels = len(set(history))
    # a rise passes through each level once and a fall once: two changes of load a period
    assert changes(history) <= 2 * 2 * levels
    assert worst / EACH < 900


def test_noise_leads_to_no_change():
    history, _, _ = simulate(lambda s: 600 + 150 * math.sin(s), 6)
    assert changes(history[20:]) == 0


def test_at_most_one_change_in_the_stabilisation():
    history, _, _ = simulate(lambda s: 500 + 7000 * (s // 600 % 2), 6, stabilization="30m")
    times = [i * STEP_S for i, (a, b) in enumerate(itertools.pairwise(history)) if a != b]
    assert all(later - earlier >= 1800 for earlier, later in itertools.pairwise(times))


def test_advice_changes_nothing_and_says_so():
    history, _, world = simulate(lambda s: 500 if s < 3600 else 3500, 3, advice=True)
    assert changes(history) == 0
    assert "ScaleAdvice" in world.reasons()
    assert world.status.autoscaling.replicas > 1
