"""The page of an evaluation: whole in itself, the verdicts first, nothing flattering without its baseline."""

import base64
import html
import re

import pytest

from tickloom.forecast import report
from tickloom.forecast.evaluation import evaluate
from tickloom.forecast.folds import Plan

from . import made


@pytest.fixture(scope="module")
def found():
    tickers = [made.history(620, seed, ticker=name) for seed, name in enumerate(("T1", "A&B"))]
    return evaluate(tickers, ["random_walk", "drift", "ar1"], Plan(folds=4, test=60, horizon=2))


@pytest.fixture(scope="module")
def page(found, tmp_path_factory):
    return report.write_report(found, tmp_path_factory.mktemp("report")).read_text(encoding="utf-8")


def test_the_page_needs_nothing_from_elsewhere(page):
    addresses = re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?([^"\')\s>]+)', page)
    assert addresses
    assert all(it.startswith("data:image/png;base64,") for it in addresses)
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)
    assert all(base64.b64decode(it.partition(",")[2]).startswith(b"\x89PNG") for it in addresses)


def test_every_part_is_there_and_the_verdicts_come_first(page):
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles == [
        "Verdicts, 1 session ahead", "Error by horizon", "Forecasts of the last cutoffs", "Coverage", "Sign strategy",
        "Probability of a rise", "Spread over seeds",
    ]  # fmt: skip
    assert page.count("<img") == 2 + 2 + 1 + 2 + 1


def test_each_model_has_the_random_walks_figure_beside_it(page, found):
    rows = re.findall(r"<tr>(.*?)</tr>", page.partition("<h2>Error by horizon")[0])
    heads = [html.unescape(it) for it in re.findall(r"<th>(.*?)</th>", rows[0])]
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in rows[1:]]
    assert len(cells) == 6
    naive = found.scores.query("model == 'random_walk' and h == 1").set_index("unique_id")["rmse"]
    for row in cells:
        about = dict(zip(heads, row, strict=True))
        ticker = html.unescape(about["ticker"])
        assert about["random walk's"] == report.cell("rmse", naive[ticker])
        assert about["verdict"] in {"beats_naive", "indistinguishable", "worse"}
    assert "R² on prices (misleading)" in heads
    assert heads.index("R² on returns") < heads.index("R² on prices (misleading)")


def test_names_are_escaped(page):
    assert "A&amp;B" in page
    assert "A&B" not in page


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [("rmse", 1.23456, "1.235"), ("coverage", 0.8041, "80.4%"), ("rmse", float("nan"), "–"), ("n", 1234, "1,234"),
     ("verdict", "<b>", "&lt;b&gt;"), ("level", 0.95, "95%")],
)  # fmt: skip
def test_a_cell_is_for_readers(name, value, shown):
    assert report.cell(name, value) == shown
