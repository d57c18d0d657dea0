"""The page for people who operate it names everything that they meet, and manifests grant no more than is needed."""

from pathlib import Path

import pytest
import yaml

from operators.streamjob.metrics import Metrics
from operators.streamjob.settings import OperatorSettings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
MANIFESTS = sorted((ROOT / "manifests" / "base").glob("*/operator.yaml"))


def test_every_setting_is_on_the_page_with_its_default_and_meaning():
    for name, info in OperatorSettings.model_fields.items():
        default = "none" if info.default is None else "empty" if info.default == "" else f"`{info.default}`"
        assert f"| `TICKLOOM_OPERATOR_{name.upper()}` | {default} | {info.description} |" in PAGE


def test_every_metric_is_on_the_page():
    for family in Metrics().registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"`{name}" in PAGE, name


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_roles_name_every_verb_and_the_operator_starts_alone(path):
    documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    roles = [item for item in documents if item["kind"] in ("Role", "ClusterRole")]
    assert roles
    assert "*" not in yaml.safe_dump(roles)
    deployment = next(item for item in documents if item["kind"] == "Deployment")
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    if path.parent.name == "operator-namespaced":
        assert {item["kind"] for item in roles} == {"Role"}
