"""Small HTML pages of tables, which need no other file and no network."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tickloom.files import write_whole

FILE = "report.html"


class Link(str):
    """The place of another page, relative to this one."""

    __slots__ = ()


Rows = Sequence[Mapping[str, Any]]
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#1b1f23}"
    "table{border-collapse:collapse;margin:.5rem 0 1.2rem}"
    "th,td{padding:.25rem .7rem;border-bottom:1px solid #dfe3e8;text-align:left;vertical-align:top}"
    "th{background:#f3f5f7}.no{color:#a61b1b;font-weight:600}.yes{color:#00693e}"
)


def write(out: Path, title: str, sections: Sequence[tuple[str, Rows]]) -> Path:
    """Write ``report.html`` with a table for each section, and return its path."""
    parts = [f"<h1>{html.escape(title)}</h1>"]
    for heading, rows in sections:
        parts.append(f"<h2>{html.escape(heading)}</h2>{_table(rows) if rows else '<p>None.</p>'}")
    path = out / FILE
    write_whole(
        path,
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n",
    )
    return path


def _table(rows: Rows) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in names)
    body = "".join(f"<tr>{''.join(_cell(row.get(name)) for name in names)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return f"<td class={'yes' if value else 'no'}>{'yes' if value else 'no'}</td>"
    if isinstance(value, float):
        return f"<td>{value:.5g}</td>"
    if isinstance(value, Link):
        return f"<td><a href='{html.escape(value, quote=True)}'>{html.escape(value)}</a></td>"
    if isinstance(value, list | tuple):
        value = "; ".join(str(it) for it in value)
    return f"<td>{'' if value is None else html.escape(str(value))}</td>"
