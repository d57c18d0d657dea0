"""Alert rules and dashboards ask only for what the code exports, and say what a person needs."""

import re
import shutil
import subprocess

import pytest
import yaml

pytest.importorskip("promql_parser", reason="needs the package promql-parser: install tickloom[dev]")

from tests.unit.charts.exported import FOREIGN, known
from tests.unit.charts.monitoring_files import (
    FOLDER,
    alerts,
    dashboards,
    expressions,
    panels,
    queries_of,
    rules,
    variables,
)
from tests.unit.charts.promql import WrongQueryError, metrics_in
from tests.unit.charts.rendering import CHARTS, ROOT, of_kind

PAGE = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
KNOWN = known()
EXPRESSIONS = expressions()
GRAFANA_SCHEMA = 42
"""schemaVersion of Grafana 12 and later."""


@pytest.mark.parametrize("place", EXPRESSIONS)
def test_a_query_asks_for_what_there_is(place):
    KNOWN.labels(EXPRESSIONS[place])


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("rate(tickloom_stream_rows_total[5m])", "nobody exports tickloom_stream_rows_total"),
        ("tickloom_stream_rows_out > 0", "nobody exports tickloom_stream_rows_out"),
        ("sum(up) / sum(tickloom_stream_laag_rows)", "nobody exports tickloom_stream_laag_rows"),
        ("max_over_time(deriv(made_up[5m])[1h:1m])", "nobody exports made_up"),
        ('tickloom_stream_lag_rows{ticker="AAPL"}', "no label ticker"),
        ('tickloom_stream_state{state="wating"}', "state is never 'wating'"),
        ('tickloom_streamjob_phase{phase=~"Failed|Sleeping"}', "phase is never 'Sleeping'"),
        ('up{job=~"tickloom-(kafka|zookeeper)"} == 0', "job is never"),
        ("sum by (ticker) (tickloom_stream_lag_rows)", "no label ticker"),
        ("sum by (pod) (sum by (namespace) (tickloom_stream_lag_rows))", "no label pod"),
        ("tickloom_stream_lag_rows and on (source) tickloom_stream_state", "no label source"),
        ("sum by (namespace) (tickloom_stream_lag_rows) / tickloom_stream_lag_rows", "never matches"),
        ("sum by (namespace (up)", "unclosed left parenthesis"),
    ],
)
def test_a_query_for_what_there_is_not_is_refused(query, said):
    with pytest.raises(WrongQueryError, match=re.escape(said)):
        KNOWN.labels(query)


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_how_bad_what_where_how_much_and_what_to_do(name):
    rule = alerts()[name]
    assert rule["labels"]["severity"] in ("critical", "warning")
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    there = KNOWN.labels(rule["expr"])
    for text in notes.values():
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= there, f"{name}: {text}"
        for metric in re.findall(r"\btickloom_\w+", text):
            assert metric in KNOWN.metrics
    # what is missing, or true or not, has no figure
    assert (
        "$value" in notes["description"] or queries_of(notes["description"]) or re.search(r"== 1|absent", rule["expr"])
    )
    assert notes["runbook_url"] == f"docs/monitoring.md#{name.lower()}"
    (section,) = re.findall(rf"^### {name}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert "**Look:**" in section
    assert "**Do:**" in section


def test_every_section_is_an_alerts_and_says_its_severity():
    found = re.findall(r"^### (Tickloom\w+)\n\n(\w+)", PAGE, re.MULTILINE)
    assert {name: said.lower() for name, said in found} == {
        name: rule["labels"]["severity"] for name, rule in alerts().items()
    }


def test_metrics_of_others_are_named_with_their_source():
    asked = {metric for text in EXPRESSIONS.values() for metric in metrics_in(text)}
    others = {metric for metric in asked if not metric.startswith("tickloom_")}
    assert others == set(FOREIGN), "declared, and used"
    for name, (source, _) in FOREIGN.items():
        assert re.search(rf"^\| `{name}` \|.*{re.escape(source)}", PAGE, re.MULTILINE), name


def test_every_metric_of_ours_is_in_a_rule_or_a_dashboard_or_said_to_be_in_none():
    asked = {metric for text in EXPRESSIONS.values() for metric in metrics_in(text)}
    bare = {re.sub("_(bucket|sum|count|created)$", "", name) for name in KNOWN.metrics if not name.endswith("_created")}
    unused = {name for name in bare if not {name, f"{name}_count", f"{name}_bucket"} & asked}
    assert unused == {"tickloom_stream_batch", "tickloom_stream_partitions"} | (set(FOREIGN) - asked)


def test_the_backup_of_the_chart_is_the_one_that_is_watched(charts):
    (job,) = of_kind(charts.render("tickloom", {"cassandra": {"backup": {"enabled": True}}}), "CronJob")
    expression = alerts()["TickloomCassandraBackupOld"]["expr"]
    for pattern in re.findall(r'cronjob=~"([^"]+)"', expression):
        assert re.fullmatch(pattern, job["metadata"]["name"])


@pytest.mark.parametrize("name", dashboards())
def test_a_dashboard_fits_any_grafana(name):
    board = dashboards()[name]
    assert (board["id"], board["uid"], board["schemaVersion"]) == (None, f"tickloom-{name}", GRAFANA_SCHEMA)
    first = board["templating"]["list"][0]
    assert (first["type"], first["name"], first["query"]) == ("datasource", "datasource", "prometheus")
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    taken = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("name", dashboards())
def test_a_panel_has_a_unit_and_a_source_and_names_labels_that_there_are(name):
    board = dashboards()[name]
    source = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels(board):
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"] == source
            named = set(re.findall(r"{{(\w+)}}", target.get("legendFormat", "")))
            assert named <= KNOWN.labels(target["expr"]), panel["title"]
            for variable in re.findall(r'"\(?\$(\w+)', target["expr"]):
                assert variable in variables(board), panel["title"]
    for variable, (selector, label) in variables(board).items():
        assert label in KNOWN.labels(selector), variable


def test_the_charts_copies_are_current():
    copy = CHARTS / "monitoring" / "files"
    mine = {
        path.relative_to(FOLDER) for part in ("monitors", "rules", "dashboards") for path in FOLDER.glob(f"{part}/*")
    }
    assert mine == {path.relative_to(copy) for path in copy.rglob("*") if path.is_file()}
    for path in mine:
        assert (copy / path).read_text() == (FOLDER / path).read_text(), "make manifests"


def test_kustomize_takes_every_file():
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    named = {*kustomization["resources"], *(file for it in kustomization["configMapGenerator"] for file in it["files"])}
    there = {str(path.relative_to(FOLDER)) for path in FOLDER.glob("*/*")}
    assert named == there


if shutil.which("promtool"):  # https://prometheus.io/download; the expressions themselves are parsed above, without it

    def test_promtool_finds_every_alert_to_do_what_it_is_for(tmp_path):
        groups = [group for document in rules().values() for group in document["spec"]["groups"]]
        (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
        cases = yaml.safe_load((ROOT / "tests" / "unit" / "charts" / "alerts.promtool.yaml").read_text())
        (tmp_path / "cases.yaml").write_text(yaml.safe_dump({**cases, "rule_files": ["rules.yaml"]}, width=10_000))
        for arguments in (("check", "rules", "rules.yaml"), ("test", "rules", "cases.yaml")):
            done = subprocess.run(["promtool", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_is_asked_of_every_alert():
    cases = yaml.safe_load((ROOT / "tests" / "unit" / "charts" / "alerts.promtool.yaml").read_text())
    fired = {it["alertname"] for case in cases["tests"] for it in case["alert_rule_test"] if it.get("exp_alerts")}
    assert fired == set(alerts())
