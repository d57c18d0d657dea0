"""The files of manifests/monitoring: every expression in them with its place."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.unit.charts.rendering import ROOT

FOLDER = ROOT / "manifests" / "monitoring"
_QUERY = re.compile(r'printf "([^"]*)" [^|]*\| query')
_VARIABLE = re.compile(r"label_values\((?:(.+), )?(\w+)\)")

Document = dict[str, Any]


def monitors() -> dict[str, Document]:
    """Return the monitors by what they are for."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted((FOLDER / "monitors").glob("*.yaml"))}


def rules() -> dict[str, Document]:
    """Return the PrometheusRules by what they are for."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted((FOLDER / "rules").glob("*.yaml"))}


def alerts() -> dict[str, Document]:
    """Return all alerts by name."""
    return {
        rule["alert"]: rule
        for document in rules().values()
        for group in document["spec"]["groups"]
        for rule in group["rules"]
    }


def dashboards() -> dict[str, Document]:
    """Return the dashboards by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))}


def panels(dashboard: Document) -> Iterator[Document]:
    """Yield a dashboard's panels but its rows."""
    yield from (panel for panel in dashboard["panels"] if panel["type"] != "row")


def variables(dashboard: Document) -> dict[str, tuple[str, str]]:
    """Return what a dashboard's variables ask for: a selector and a label."""
    asked = {it["name"]: it["query"]["query"] for it in dashboard["templating"]["list"] if it["type"] == "query"}
    return {name: _VARIABLE.fullmatch(query).groups() for name, query in asked.items()}


def queries_of(text: str) -> list[str]:
    """Return the expressions that an annotation's template asks for."""
    return [found.replace("%s", "x") for found in _QUERY.findall(text)]


def expressions() -> dict[str, str]:
    """Return every expression of rules and dashboards by its place."""
    found = {}
    for name, rule in alerts().items():
        found[name] = rule["expr"]
        for key, text in rule["annotations"].items():
            found |= {f"{name} {key} {number}": query for number, query in enumerate(queries_of(text))}
    for name, dashboard in dashboards().items():
        for panel in panels(dashboard):
            for target in panel["targets"]:
                found[f"{name}: {panel['title']} {target['refId']}"] = target["expr"]
        found |= {f"{name}: ${variable}": selector for variable, (selector, _) in variables(dashboard).items()}
    return found
