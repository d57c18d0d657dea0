"""Tables that lose nothing: as wide as they need to be in a file or a pipe, folded in a narrow terminal."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_WIDE = 1000
"""Columns of what has no width of its own; tables take what they need of it, sentences stay in one line."""


def console() -> "Console":
    """Return a console on standard output that takes text as it is."""
    from rich.console import Console

    found = Console(markup=False, highlight=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found.width = _WIDE
    return found


def table(*names: str, title: str | None = None, caption: str | None = None, left: Sequence[str] = ()) -> "Table":
    """Return a table whose cells go on in the next line where they have no room.

    Parameters
    ----------
    left
        Columns of text; the others are figures, which stand at the right.
    """
    from rich import box
    from rich.table import Table

    made = Table(
        title=title, caption=caption, title_justify="left", caption_justify="left",
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False,
    )  # fmt: skip
    for name in names:
        made.add_column(name, justify="left" if name in left else "right", overflow="fold")
    return made
