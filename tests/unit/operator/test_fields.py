"""What a change of each field asks for."""

import pytest
import yaml

from operators.streamjob import fields, page
from operators.streamjob.fields import changes, class_of, fingerprint, flat, leaves
from tickloom.stream.job import Spec, parse


@pytest.fixture(scope="module")
def document():
    """Return a manifest that names every field."""
    return yaml.safe_load(page.COMPLETE)


@pytest.fixture(scope="module")
def spec(document) -> Spec:
    return parse(document).spec


def changed(model, path: str):
    """Return a spec with another value at a path, unchecked."""
    first, _, rest = path.partition(".")
    name = next(key for key, info in type(model).model_fields.items() if (info.alias or key) == first)
    value = getattr(model, name)
    return model.model_copy(update={name: changed(value, rest) if rest else another(value)})


def another(value):
    """Return another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, tuple):
        return value * 2
    return {**value, "more": "x"} if isinstance(value, dict) else value + 1


@pytest.mark.parametrize("path", leaves())
def test_every_field_has_a_class(path):
    assert class_of(path) in fields.MEANINGS


def test_every_class_covers_a_field():
    unused = {path for path in fields.CLASSES if not any(f"{leaf}.".startswith(f"{path}.") for leaf in leaves())}
    assert unused == set()


def test_a_field_without_class_is_an_error():
    with pytest.raises(KeyError):
        class_of("processors.news")


def test_the_longest_path_decides():
    assert class_of("checkpoint.claim.name") == "redeploy"
    assert class_of("checkpoint.claim.size") == "ignore"
    assert class_of("upgrade.maxLag") == "ignore"


def test_the_flat_spec_has_every_field_and_nothing_else(spec):
    assert list(flat(spec)) == leaves()
    assert None not in flat(spec).values()


def test_what_is_absent_is_none():
    spec = Spec(tickers=("ATW",), market="XCAS")
    assert list(flat(spec)) == leaves()
    assert flat(spec)["autoscaling.max"] is None
    assert flat(spec)["source.createTopics.cluster"] is None


def test_nothing_changes_between_equal_specs(spec, document):
    assert changes(spec, parse(document).spec) == {}


@pytest.mark.parametrize("path", leaves())
def test_a_change_is_named_with_its_class_and_restarts_unless_it_is_ignored(spec, path):
    other = changed(spec, path)
    assert changes(spec, other) == {path: class_of(path)}
    same = fingerprint(other) == fingerprint(spec)
    assert same == (class_of(path) == "ignore")


def test_an_object_that_appears_names_its_fields():
    before = Spec(tickers=("ATW",), market="XCAS")
    after = before.model_validate({**before.model_dump(by_alias=True), "runtime": {"executor": {"cores": 4}}})
    assert changes(before, after) == {
        "runtime.executor.cores": "upgrade",
        "runtime.executor.memory": "upgrade",
        "runtime.executor.memoryOverhead": "upgrade",
    }
