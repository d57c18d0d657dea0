"""docs/serving.md against the code: metrics, settings and sorts of problems."""

import re
from pathlib import Path

from services.forecast.settings import ServeSettings
from services.forecast.shielding import shielded
from tests.unit.serving.serving import Service

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "serving.md").read_text()


class Shadows:
    made = dropped = failed = 0


def test_every_metric_is_on_the_page_and_no_other():
    service = Service()
    shielded(service.routes, ServeSettings(), service.metrics, service.answering, service.dispatcher, Shadows())
    known = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in service.metrics.registry.collect()
    }
    assert set(re.findall(r"tickloom_serve_\w+", PAGE)) == known


def test_every_setting_that_the_page_names_is_there():
    known = {f"TICKLOOM_SERVE_{name.upper()}" for name in ServeSettings.model_fields}
    assert set(re.findall(r"TICKLOOM_SERVE_[A-Z_]+", PAGE)) <= known


def test_every_sort_of_problem_is_on_the_page():
    said = set()
    for path in (ROOT / "tickloom" / "serving").rglob("*.py"):
        text = path.read_text()
        said |= set(re.findall(r'ProblemError\(\s*\d{3},\s*"([a-z-]+)"', text))
    assert len(said) > 12
    assert {it for it in said if f"`{it}`" not in PAGE} == set()
