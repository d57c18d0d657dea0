"""The page ``docs/settings.md``, made from the settings."""

from pathlib import Path
from typing import Any

from tickloom.settings import Settings

_HEAD = """# Settings

<!-- made by `tickloom docs settings`; change `tickloom/settings.py`, not this page -->

Read from the environment when the process starts; every one has a default that works on one machine.

| variable | default | what it is |
|---|---|---|
"""


def render() -> str:
    """Return the page's text."""
    prefix = Settings.model_config.get("env_prefix", "")
    rows = [
        f"| `{prefix}{name.upper()}` | {_default(field.default)} | {_cell(field.description or '')} |\n"
        for name, field in Settings.model_fields.items()
    ]
    return _HEAD + "".join(rows)


def _default(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, Path) and value.is_relative_to(Path.home()):
        value = Path("~") / value.relative_to(Path.home())
    return f"`{value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
