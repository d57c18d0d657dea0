"""The YAML of a file, in which no key may stand twice."""

from pathlib import Path
from typing import Any

import yaml

from tickloom.errors import ConfigurationError


def read_yaml(path: Path, kind: str, where: str) -> list[Any]:
    """Read the documents of a YAML file, without empty ones.

    Parameters
    ----------
    kind, where
        What the file is of, and where to look for what it holds; for the sentences about a file that is none.

    Raises
    ------
    ConfigurationError
        The file is missing or a folder, is no YAML, or has a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such file; {where}") from None
    except IsADirectoryError:
        raise ConfigurationError(f"{path}: is a folder; name the file of {kind}") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: not readable: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not readable as YAML: {error}") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, origin: str) -> list[Any]:
    """Return the documents of a text of YAML, without empty ones.

    Raises
    ------
    ConfigurationError
        It is no YAML, or has a key twice; ``origin`` says of what.
    """
    try:
        return [item for item in yaml.load_all(text, _Loader) if item is not None]
    except _RepeatedKeyError as error:
        raise ConfigurationError(f"{origin}, {error}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{origin}: not readable as YAML: {error}") from None


class _RepeatedKeyError(Exception):
    """A mapping has a key twice: the line, the key, and the line of the first one."""


class _Loader(yaml.SafeLoader):
    """Refuses repeated keys, of which PyYAML takes the last without a word."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            line = key.start_mark.line + 1
            if key.value in lines:
                raise _RepeatedKeyError(
                    f"line {line}: {key.value!r} stands in line {lines[key.value]} already; keep one"
                )
            lines[key.value] = line
        return node
