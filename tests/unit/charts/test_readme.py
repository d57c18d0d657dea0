"""Every chart's README says its values, and they are current."""

import re
import subprocess
import sys

import yaml

from tests.unit.charts.rendering import CHARTS, INSTALLABLE, ROOT


def test_readmes_are_current_and_every_value_is_explained():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "chart-readme", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_value_without_a_comment_and_an_old_table_are_told(tmp_path):
    (tmp_path / "scripts").mkdir()
    chart = tmp_path / "charts" / "one"
    chart.mkdir(parents=True)
    script = tmp_path / "scripts" / "chart-readme"
    script.write_text((ROOT / "scripts" / "chart-readme").read_text())
    (chart / "values.yaml").write_text("# -- What it is called,\n# at length.\nname: x\npart:\n  size: 3\n")
    marks = "<!-- values: made by scripts/chart-readme from values.yaml -->\n<!-- end of values -->\n"
    (chart / "README.md").write_text(f"# one\n\n{marks}\nafter\n")

    def run(*options):
        return subprocess.run([sys.executable, script, *options], capture_output=True, text=True, check=False)

    assert "charts/one/README.md: is not current" in run("--check").stderr
    assert "charts/one/values.yaml: part.size has no comment" in run().stderr
    text = (chart / "README.md").read_text()
    assert '| `name` | `"x"` | What it is called, at length. |' in text
    assert text.endswith("\nafter\n")
    assert "is not current" not in run("--check").stderr


def test_every_chart_has_its_page_in_the_list():
    page = (CHARTS / "README.md").read_text()
    for chart in (*INSTALLABLE, "platform", "lib"):
        assert f"({chart}/README.md)" in page


def test_the_main_charts_page_names_all_that_it_brings():
    page = (CHARTS / "tickloom" / "README.md").read_text().split("```")[0]
    chart = yaml.safe_load((CHARTS / "tickloom" / "Chart.yaml").read_text())
    named = {it["name"] for it in chart["dependencies"] if "condition" in it}
    assert set(re.findall(r"\(\.\./([a-z]+)/README\.md\)", page)) == named
