"""An ``Experiment`` as a file, a folder or a tag holds it."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError, field_validator

from tickloom.errors import ConfigurationError
from tickloom.experiment.spec import Arm, Spec, repeated
from tickloom.manifest.document import parse_yaml, read_yaml
from tickloom.manifest.mistakes import mistake, sentences
from tickloom.manifest.model import Metadata, Model

API_VERSION = "tickloom.dev/v1alpha1"
DEFAULT = "default"
"""Name of the experiment of tickers that no other one takes; it has the one arm ``champion``."""
TAG = "tickloom.experiment"
"""Tag of a registered model of MLflow that holds an experiment as YAML or JSON."""

_SUFFIXES = (".yaml", ".yml", ".json")
_WHERE = "docs/experiments.md says what it holds"


class Experiment(Model):
    """An ``Experiment``, as a file, a ConfigMap or a tag holds it."""

    api_version: Literal["tickloom.dev/v1alpha1"]
    kind: Literal["Experiment"]
    metadata: Metadata
    spec: Spec

    @field_validator("metadata")
    @classmethod
    def _not_reserved(cls, value: Metadata) -> Metadata:
        if value.name == DEFAULT:
            raise mistake("name", f"{DEFAULT!r} is the name of what has no experiment; take another")
        return value

    @property
    def name(self) -> str:
        """Name in the ledger."""
        return self.metadata.name

    @property
    def salt(self) -> str:
        """What the hash of every key begins with."""
        return self.spec.salt or self.metadata.name

    def arm(self, name: str) -> Arm:
        """Return the arm of that name; raise a `KeyError` where there is none."""
        return {arm.name: arm for arm in self.spec.arms}[name]

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms, as the file has them in order."""
        return tuple(arm.name for arm in self.spec.arms)

    def takes(self, market: str, ticker: str) -> bool:
        """Tell whether the ticker takes part, once it has a model for every arm."""
        return market == self.spec.market and (self.spec.tickers is None or ticker in self.spec.tickers)


def parse(document: Any, origin: str = "experiment") -> Experiment:
    """Validate one experiment.

    Parameters
    ----------
    document
        The decoded YAML or JSON object.
    origin
        What to call it in an error where it has no name: its file's name.

    Raises
    ------
    ConfigurationError
        One line per mistake, with the field's path, the value and what it may be.
    """
    if not isinstance(document, Mapping):
        raise ConfigurationError(f"{origin}: holds no mapping with an Experiment; docs/experiments.md shows one")
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    title = f"Experiment {name}" if name and isinstance(name, str) else origin
    try:
        return Experiment.model_validate(document)
    except ValidationError as error:
        found = sentences(error.errors(), Experiment)
        raise ConfigurationError("\n".join(f"{title}: {text}" for text in found)) from None


def load(path: Path) -> tuple[Experiment, ...]:
    """Read the experiments of a file, or of a folder of files as a ConfigMap is mounted.

    Of a folder the files that end in .yaml, .yml or .json are read, hidden ones not; one without any has no experiment.

    Raises
    ------
    ConfigurationError
        It cannot be read, a file holds none, one line per mistake in any of them, or two take the same ticker.
    """
    if path.is_dir():
        files = sorted(it for it in path.iterdir() if it.suffix in _SUFFIXES and not it.name.startswith("."))
    else:
        files = [path]
    found: list[Experiment] = []
    wrong: list[str] = []
    for file in files:
        try:
            documents = read_yaml(file, "an Experiment", _WHERE)
        except ConfigurationError as error:
            wrong.append(str(error))
            continue
        if not documents:
            wrong.append(f"{file}: holds no Experiment; {_WHERE}")
        for document in documents:
            try:
                found.append(parse(document, str(file)))
            except ConfigurationError as error:
                wrong += [line if str(file) in line else f"{file}: {line}" for line in str(error).splitlines()]
    wrong += _clashes(found)
    if wrong:
        raise ConfigurationError("\n".join(wrong))
    return tuple(found)


def from_tags(tags: Mapping[str, str], origin: str) -> Experiment | None:
    """Return the experiment that the tag ``tickloom.experiment`` holds, None where there is no such tag.

    Parameters
    ----------
    tags
        Tags of a registered model of MLflow.
    origin
        What has the tags, for errors: the registered model's name.

    Raises
    ------
    ConfigurationError
        The text is no YAML or JSON of one experiment, or one line per mistake in it.
    """
    text = tags.get(TAG)
    if text is None:
        return None
    where = f"tag {TAG} of {origin}"
    documents = parse_yaml(text, where)
    if len(documents) != 1:
        raise ConfigurationError(f"{where}: holds {len(documents)} documents; it takes one Experiment as YAML or JSON")
    try:
        return parse(documents[0], where)
    except ConfigurationError as error:
        lines = str(error).splitlines()
        raise ConfigurationError("\n".join(it if where in it else f"{where}: {it}" for it in lines)) from None


def check_together(experiments: Sequence[Experiment]) -> None:
    """Refuse experiments, from whatever place they come, of which two have one name or take one ticker.

    Raises
    ------
    ConfigurationError
        One line for each such two, with both names.
    """
    wrong = _clashes(experiments)
    if wrong:
        raise ConfigurationError("\n".join(wrong))


def _clashes(experiments: Sequence[Experiment]) -> list[str]:
    said = [f"Experiment {name}: there are two of this name" for name in repeated(it.name for it in experiments)]
    for one, other in combinations(experiments, 2):
        shared = _shared(one.spec, other.spec)
        if shared and one.name != other.name:
            said.append(f"Experiments {one.name} and {other.name}: both take {shared}; a ticker takes part in one")
    return said


def _shared(one: Spec, other: Spec) -> str:
    if one.market != other.market:
        return ""
    if one.tickers is None and other.tickers is None:
        return f"every ticker of {one.market}"
    both = sorted(set(one.tickers or other.tickers or ()) & set(other.tickers or one.tickers or ()))
    return ", ".join(both[:5]) + (", …" if len(both) > 5 else "")
