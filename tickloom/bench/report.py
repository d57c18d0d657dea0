"""What a benchmark returns, the machine it ran on, and its section in ``docs/benchmarks.md``."""

import json
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Result:
    """One run of one benchmark.

    Parameters
    ----------
    name
        The verb: ``ingest``, ``stream``, ``store``, ``indicators`` or ``latency``.
    figures
        What was measured, by name with its unit as suffix (``_ms``, ``_per_second``).
    peers
        What the peer or the ceiling reached in the same run.
    ratios
        Figures over peers, dimensionless.
    notes
        Sentences for ``docs/benchmarks.md``: sizes, settings, what is compared with what.
    """

    name: str
    figures: Mapping[str, float]
    peers: Mapping[str, float] = field(default_factory=dict)
    ratios: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the object that ``--json`` prints, on one line."""
        body: dict[str, Any] = {
            "name": self.name,
            "figures": _rounded(self.figures),
            "peers": _rounded(self.peers),
            "ratios": _rounded(self.ratios),
            "machine": machine(),
        }
        return json.dumps(body)


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    """Return whole numbers and large ones as integers, the others with four digits."""

    def short(value: float) -> float:
        return round(value) if isinstance(value, int) or abs(value) >= 1000 else float(f"{value:.4g}")

    return {key: short(value) for key, value in values.items()}


def machine() -> dict[str, Any]:
    """Describe this machine: processor, cores, memory in GiB, system and Python."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": model.group(1) if model else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def record(result: Result, path: Path) -> None:
    """Replace the result's section in ``path`` (made when absent), leaving the other sections as they are."""
    text = path.read_text() if path.exists() else "# Benchmarks\n"
    block = _section(result)
    pattern = re.compile(rf"<!-- begin {result.name} -->.*?<!-- end {result.name} -->\n", re.DOTALL)
    text = pattern.sub(lambda _: block, text) if pattern.search(text) else text.rstrip("\n") + "\n\n" + block
    path.write_text(text)


def _section(result: Result) -> str:
    where = machine()
    lines = [f"<!-- begin {result.name} -->", f"## {result.name}", ""]
    lines += [
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {where['cores']} × {where['cpu']}, {where['memory_gib']} GiB, "
        f"{where['system']}, Python {where['python']}.",
        "",
        "| what | value |",
        "|---|---|",
    ]
    for group in (result.figures, result.peers, result.ratios):
        lines += [f"| `{key}` | {value:,} |" for key, value in _rounded(group).items()]
    if result.notes:
        lines += ["", *(f"- {note}" for note in result.notes)]
    return "\n".join([*lines, f"<!-- end {result.name} -->", ""])
