"""The page ``docs/settings.md``, made from the settings of all processes, of the services and of who asks one."""

from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings

from services.forecast.settings import ServeSettings
from services.watch.settings import WatchSettings
from tickloom.cli.ask import AskSettings
from tickloom.settings import Settings

_HEAD = """# Settings

<!-- made by `tickloom docs settings`; change `tickloom/settings.py`, `services/forecast/settings.py`,
`services/watch/settings.py` and `tickloom/cli/ask.py`, not this page -->

Read from the environment when the process starts; every one has a default that works on one machine.

"""
_SERVE = """
## Of the forecast service

[docs/serving.md](serving.md) says how they play together.

"""
_WATCH = """
## Of the watch

[docs/retraining.md](retraining.md#facts) says what it writes.

"""
_ASK = """
## Of who asks it

`tickloom ask` reads these; the client of Python takes what it is given.

"""
_TABLE = """| variable | default | what it is |
|---|---|---|
"""


def render() -> str:
    """Return the page's text."""
    return (
        _HEAD
        + _table(Settings)
        + _SERVE
        + _table(ServeSettings)
        + _WATCH
        + _table(WatchSettings)
        + _ASK
        + _table(AskSettings)
    )


def _table(kind: type[BaseSettings]) -> str:
    prefix = kind.model_config.get("env_prefix", "")
    rows = [
        f"| `{prefix}{name.upper()}` | {_default(field.default)} | {_cell(field.description or '')} |\n"
        for name, field in kind.model_fields.items()
    ]
    return _TABLE + "".join(rows)


def _default(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, Path) and value.is_relative_to(Path.home()):
        value = Path("~") / value.relative_to(Path.home())
    return f"`{value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
