"""``tickloom bench``: measure Tickloom beside its peers."""

import importlib
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickloom.errors import TickloomError

if TYPE_CHECKING:
    from tickloom.bench.report import Result

app = typer.Typer(rich_markup_mode=None, add_completion=False)

NAMES = {
    "ingest": "prices into Kafka",
    "stream": "the whole application",
    "store": "rows into Cassandra and out of it",
    "indicators": "indicators beside TA-Lib",
    "latency": "from a price's arrival to its row",
    "memory": "the application's memory over a long run",
    "forecast": "whether verdicts are true, and how fast forecasts are made",
    "experiment": "how often the evidence that promotes errs, and how often it finds",
    "drift": "how often a calm market is retrained on, and how soon a louder one is found",
    "pipeline": "a retraining of two tickers as a pipeline on this machine, beside the same called directly",
    "serve": "forecasts over HTTP, also in trouble",
    "operator": "the operator with 1,000 jobs, against the cluster of KUBECONFIG with nodes that kwok simulates",
}
ALONE = ("drift", "experiment", "forecast", "indicators", "operator", "pipeline")
"""Those that need neither Kafka nor Cassandra."""
PAGE = Path("docs/benchmarks.md")


@app.command(epilog="Example: tickloom bench ingest --json")
def bench(
    name: Annotated[str, typer.Argument(help="; ".join(f"{key}: {text}" for key, text in NAMES.items()))],
    as_json: Annotated[bool, typer.Option("--json", help="End with one line, a JSON object.")] = False,
    record: Annotated[bool, typer.Option("--record", help=f"Write the result into {PAGE}.")] = False,
) -> None:
    """Run one benchmark against what it needs, a Kafka and a Cassandra of its own, which are gone afterwards."""
    if name not in NAMES:
        raise TickloomError(f"benchmark {name!r} is unknown; known: {', '.join(NAMES)}")
    if record and not PAGE.parent.is_dir():
        raise TickloomError(
            f"--record writes {PAGE}, but there is no folder {PAGE.parent} here: run it in the checkout"
        )

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run = importlib.import_module(f"tickloom.bench.{name}").run
    except ImportError as error:
        raise TickloomError(
            f"tickloom bench {name} needs {error.name}: install the extras with "
            "`pip install tickloom[stream,operator,train,monitor]`"
        ) from None
    result = run(_say) if name in ALONE else _with_stack(run)
    if record:
        from tickloom.bench import report

        report.record(result, PAGE)
        _say(f"recorded in {PAGE}")
    if as_json:
        typer.echo(result.to_json())
    else:
        _print(result)


def _with_stack(run: Callable[..., "Result"]) -> "Result":
    """Run a benchmark with a stack of its own in a folder that is removed."""
    from tickloom.local import stack

    home = Path(tempfile.mkdtemp(prefix="tickloom-bench-home-"))
    try:
        where = stack.up(home, progress=_say)
        return run(_say, kafka=where.kafka, cassandra=where.cassandra)
    finally:
        stack.down(home)
        shutil.rmtree(home, ignore_errors=True)


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _print(result: "Result") -> None:
    import json

    from rich.console import Console
    from rich.table import Table

    shown = json.loads(result.to_json())
    table = Table("what", title=f"bench {result.name}", title_justify="left")
    table.add_column("value", justify="right")
    for group in ("figures", "peers", "ratios"):
        for key, value in shown[group].items():
            table.add_row(key, f"{value:,}")
    console = Console(markup=False, highlight=False)
    console.print(table)
    for note in result.notes:
        console.print(f"- {note}")
