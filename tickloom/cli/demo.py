"""``tickloom demo``: the main job on this machine, from prices to tables."""

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tickloom.cli.options import Home
from tickloom.errors import TickloomError

if TYPE_CHECKING:
    from tickloom.sources.blocks import PriceBlock
    from tickloom.stream.job import Spec

app = typer.Typer(rich_markup_mode=None, add_completion=False)

MANIFEST = "manifests/demo.yaml"
KEYSPACE = "demo"
LAST = 8
SYNTHETIC_STEPS = 2000
SYNTHETIC_BEGIN = datetime(2024, 3, 8, tzinfo=UTC)
"""Fixed, so that every demo makes the same prices."""
SYNTHETIC_START = 100.0
"""Price of a ticker of which no real one is known."""


@app.command(epilog="Example: tickloom demo --keep")
def demo(
    home: Home = None,
    manifest: Annotated[Path, typer.Option("--file", "-f", help="The StreamJob to run.", metavar="FILE")] = Path(
        MANIFEST
    ),
    data: Annotated[
        Path | None, typer.Option(help="Folder with us_minute/*.csv; by default TICKLOOM_DATA, else synthetic prices.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave Kafka and Cassandra running.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print nothing but the last line, the run's object.")] = False,
) -> None:
    """Show the main job: prices into Kafka, a StreamJob on Spark, tables in Cassandra. The last line is JSON.

    Every demo has a topic and a checkpoint of its own, and all demos share the keyspace `demo`, away from your tables.
    It shows the days that it has just put in, so it shows the same each time.
    """
    from rich.console import Console

    from tickloom.local.stack import down, endpoints, up
    from tickloom.settings import settings
    from tickloom.stream.job import load

    folder = (home or settings().home).absolute()
    job = load(manifest)
    files, lack = real_files(job.spec.tickers, data, settings().data)
    console = Console(file=sys.stderr if as_json else sys.stdout, highlight=False, soft_wrap=True)
    console.print("[bold]1. Kafka and Cassandra[/]  (tickloom up)")
    was_up = endpoints(folder) is not None
    started = time.monotonic()
    where = up(folder, progress=lambda text: console.print(f"   {text}"))
    console.print(f"   Kafka at {where.kafka}, Cassandra at {where.cassandra}, {time.monotonic() - started:.0f} s")
    try:
        totals = _show(console, folder, manifest, job.spec, files, lack)
    finally:
        if not keep and not was_up:
            down(folder)
    if keep or was_up:
        console.print("Kafka and Cassandra still run; stop them with: tickloom down")
    sys.stdout.flush()
    typer.echo(json.dumps(totals))


def real_files(tickers: Sequence[str], given: Path | None, named: Path | None) -> tuple[list[Path], str]:
    """Return files of real minute prices; where there are none, why synthetic ones are taken.

    Parameters
    ----------
    given, named
        The folder that the command line names, and the one of TICKLOOM_DATA.

    Raises
    ------
    TickloomError
        The command line names a folder without a file for each ticker.
    """
    folder = given or named
    if folder is None:
        return [], "TICKLOOM_DATA names no folder of real ones"
    files = [folder / "us_minute" / f"{ticker}_1min.csv" for ticker in tickers]
    missing = next((file for file in files if not file.is_file()), None)
    if missing is None:
        return files, ""
    if given is not None:
        raise TickloomError(f"--data {given}: there is no {missing}; without --data, prices are synthetic")
    return [], f"TICKLOOM_DATA has no {missing.relative_to(folder)}"


def _show(console: Any, home: Path, manifest: Path, spec: "Spec", files: list[Path], lack: str) -> dict[str, Any]:
    from tickloom.bus.producer import PriceProducer
    from tickloom.bus.roles import ROLES
    from tickloom.bus.topics import create
    from tickloom.cli import run, show
    from tickloom.cli.showing import Query
    from tickloom.local.addresses import kafka_address

    kafka = kafka_address(home)
    topic = f"demo-prices-{int(time.time())}"
    create(kafka, {topic: ROLES["prices"]})
    console.print()
    if files:
        console.print("[bold]2. Real minute prices into Kafka[/]  (tickloom ingest replay us_minute/*.csv)")
    else:
        console.print(f"[bold]2. Synthetic prices into Kafka[/]  (tickloom ingest gbm; {lack})")
    times: list[int] = []
    with PriceProducer(kafka, topic) as producer:
        for block in _replay(files, spec.market) if files else _synthetic(spec.tickers, spec.market):
            producer.send_block(block)
            times += block.time_us[[0, -1]].tolist()
    first, last = _days(spec.market, min(times), max(times))
    console.print(
        f"   {producer.sent:,} records of {first} to {last}, "
        f"{'replayed from files' if files else 'geometric Brownian motion'}, topic {topic}"
    )
    console.print()
    console.print(f"[bold]3. The StreamJob on Spark[/]  (tickloom run -f {manifest} --bounded)")
    with tempfile.TemporaryDirectory(prefix="demo-", dir=_jobs(home)) as scratch:
        copy = _manifest(manifest, topic, Path(scratch))
        totals = run.execute(copy, home, bounded=True, job_folder=Path(scratch))
    if not console.stderr:
        for what in ("bars", "anomalies"):
            query = Query(what, spec.tickers[0], LAST, first.isoformat(), last.isoformat(), keyspace=KEYSPACE)
            command = f"tickloom show {what} {query.ticker} --from {first} --to {last} --last {LAST}"
            console.print()
            console.print(f"[bold]4. From Cassandra[/]  (TICKLOOM_KEYSPACE={KEYSPACE} {command})")
            console.print(show.render(query, home), soft_wrap=False)
    return totals


def _replay(files: list[Path], market: str) -> "Iterator[PriceBlock]":
    from tickloom.sources.replay import Replay

    return Replay(files, market).blocks()


def _synthetic(tickers: Sequence[str], market: str) -> "Iterator[PriceBlock]":
    from tickloom.sources.gbm import Gbm
    from tickloom.sources.start import reference_prices

    known = reference_prices()
    starts = {ticker: known[ticker].price if ticker in known else SYNTHETIC_START for ticker in tickers}
    count = SYNTHETIC_STEPS * len(tickers)
    return Gbm(tuple(tickers), starts, market, seed=7, begin=SYNTHETIC_BEGIN, count=count).blocks()


def _days(market: str, first_us: int, last_us: int) -> tuple[date, date]:
    from tickloom.market.sessions import day_of, session_table

    first, last = session_table(market).local_day([first_us, last_us])
    return day_of(first), day_of(last)


def _jobs(home: Path) -> Path:
    folder = home / "jobs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _manifest(manifest: Path, topic: str, folder: Path) -> Path:
    """Write the manifest with the demo's own topic and keyspace."""
    import yaml

    from tickloom.stream.job import read_document

    document = read_document(manifest)
    document["spec"].setdefault("source", {})["topic"] = topic
    document["spec"].setdefault("sinks", {}).setdefault("cassandra", {})["keyspace"] = KEYSPACE
    copy = folder / manifest.name
    copy.write_text(yaml.safe_dump(document))
    return copy
