"""The evidence drawn, in a terminal and as a picture."""

import pytest

from tests.unit.experiment.judged import counts, findings, look, series, state
from tickloom.cli.experimenting import HEIGHT, chart
from tickloom.errors import TickloomError
from tickloom.experiment.findings import Findings
from tickloom.experiment.health import Health
from tickloom.experiment.pictures import draw, page, save
from tickloom.experiment.summary import summary


@pytest.fixture(scope="module")
def found():
    given = state()
    seen = Health({"lstm": counts(1000, 400)}, {"lstm": 10}, {"lstm": 9.5}, 0.3, 2)
    return summary(given, findings(given, *series(60, {"lstm": 0.6})), seen)


def test_the_chart_has_a_line_at_what_is_needed_and_each_arm_in_its_place():
    lines = chart({"up": [1.0, 10.0, 100.0, 1000.0], "down": [1.0, 0.5, 0.2, 0.1]}, 20.0)
    needed = next(at for at, line in enumerate(lines) if "╌" in line)
    up = [next(at for at, line in enumerate(lines[1:-1], 1) if line.split("┤")[1][column] == "●") for column in (2, 3)]
    assert lines[needed].strip().startswith("20")
    assert up[1] < up[0] < needed
    assert any("▲" in line for line in lines[needed + 1 :])
    assert len(lines) == HEIGHT + 2


def test_a_chart_of_many_sessions_ends_with_the_last_one():
    lines = chart({"up": [1.0] * 999 + [1e6]}, 20.0)
    assert lines[1].rstrip().endswith("●")
    assert chart({}, 20.0) == []


def test_a_broken_guardrail_and_what_is_missing_stand_in_the_summary(found):
    lstm = next(it for it in found["arms"] if it["arm"] == "lstm")
    assert "errorRate 0.4 is above 0.01" in lstm["broken"][0]
    assert found["found_better"] == "lstm"
    assert len(lstm["e_values"]) == found["sessions"] == 60


def test_the_picture_has_a_line_for_each_challenger_and_the_page_holds_it(found, tmp_path):
    left = draw(found).axes[0]
    labels = [it.get_label() for it in left.get_lines()]
    assert labels[:2] == ["lstm", "gbm"]
    assert left.get_lines()[0].get_ydata()[-1] == pytest.approx(found["arms"][1]["e_values"][-1])
    assert "data:image/png;base64," in page(found)
    assert "errorRate 0.4" in page(found)
    with pytest.raises(TickloomError, match="name a file in a folder that can be written"):
        save(found, tmp_path / "none" / "x.png")


def test_an_experiment_without_sessions_is_drawn_as_well():
    given = state()
    nothing = summary(given, Findings(), Health())
    assert nothing["arms"][1]["e_value"] is None
    assert "no replica" in page(nothing)
    ended = look(state(end={"mostSessions": 20}), findings(given, *series(30, {}))).state
    assert "the champion stays" in page(summary(ended, findings(ended, *series(30, {})), Health()))
