"""``tickloom demo``: the main job on this machine, from prices to tables."""

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tickloom.sources.blocks import PriceBlock

app = typer.Typer()

MANIFEST = "manifests/samples/demo.yaml"
SYNTHETIC_STEPS = 2000


@app.command()
def demo(
    home: Annotated[Path | None, typer.Option(help="Folder of the embedded stack.")] = None,
    manifest: Annotated[Path, typer.Option("--file", "-f", help="The StreamJob to run.")] = Path(MANIFEST),
    data: Annotated[
        Path | None, typer.Option(help="Folder with us_minute/*.csv; by default TICKLOOM_DATA, else synthetic prices.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave Kafka and Cassandra running.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print nothing but the last line, the run's object.")] = False,
) -> None:
    """Show the main job: prices into Kafka, a StreamJob on Spark, tables in Cassandra. The last line is JSON.

    Every demo uses a topic and a checkpoint of its own, so it shows the same each time.

    Example: tickloom demo --keep
    """
    from rich.console import Console

    from tickloom.local.stack import down, endpoints, up
    from tickloom.settings import settings
    from tickloom.stream.job import load

    folder = (home or settings().home).absolute()
    job = load(manifest)
    console = Console(file=sys.stderr if as_json else sys.stdout, highlight=False, soft_wrap=True)
    console.print("[bold]1. Kafka and Cassandra[/]  (tickloom up)")
    was_up = endpoints(folder) is not None
    started = time.monotonic()
    where = up(folder, progress=lambda text: console.print(f"   {text}"))
    console.print(f"   Kafka at {where.kafka}, Cassandra at {where.cassandra}, {time.monotonic() - started:.0f} s")
    try:
        totals = _show(console, folder, manifest, job.spec.tickers, data or settings().data)
    finally:
        if not keep and not was_up:
            down(folder)
    if keep or was_up:
        console.print("Kafka and Cassandra still run; stop them with: tickloom down")
    sys.stdout.flush()
    typer.echo(json.dumps(totals))


def _show(console: Any, home: Path, manifest: Path, tickers: Sequence[str], data: Path | None) -> dict[str, Any]:
    from tickloom.bus.producer import PriceProducer
    from tickloom.bus.topics import ROLES, create
    from tickloom.cli import run, show
    from tickloom.cli.addresses import kafka_address

    kafka = kafka_address(home)
    topic = f"demo-prices-{int(time.time())}"
    create(kafka, {topic: ROLES["prices"]})
    files = [data / "us_minute" / f"{ticker}_1min.csv" for ticker in tickers] if data else []
    real = bool(files) and all(file.exists() for file in files)
    console.print()
    if real:
        console.print("[bold]2. Real minute prices into Kafka[/]  (tickloom ingest replay us_minute/*.csv)")
    else:
        console.print("[bold]2. Synthetic prices into Kafka[/]  (tickloom ingest gbm; TICKLOOM_DATA has no real ones)")
    with PriceProducer(kafka, topic) as producer:
        for block in _replay(files) if real else _synthetic(tickers):
            producer.send_block(block)
    console.print(
        f"   {producer.sent:,} records, {'replayed from files' if real else 'geometric Brownian motion'}, topic {topic}"
    )
    console.print()
    console.print(f"[bold]3. The StreamJob on Spark[/]  (tickloom run -f {manifest} --bounded)")
    with tempfile.TemporaryDirectory(prefix="demo-", dir=_jobs(home)) as scratch:
        copy = _manifest(manifest, topic, Path(scratch))
        totals = run.execute(copy, home, bounded=True, job_folder=Path(scratch))
    if not console.stderr:
        for read in (show.bars, show.anomalies):
            console.print()
            console.print(f"[bold]4. From Cassandra[/]  (tickloom show {read.__name__} {tickers[0]} --last 8)")
            read(tickers[0], last=8, home=home)
    return totals


def _replay(files: list[Path]) -> "Iterator[PriceBlock]":
    from tickloom.sources.replay import Replay

    return Replay(files, "XNYS").blocks()


def _synthetic(tickers: Sequence[str]) -> "Iterator[PriceBlock]":
    from tickloom.sources.gbm import Gbm
    from tickloom.sources.start import starting_prices

    starts = {ticker: found.price for ticker, found in starting_prices(list(tickers), {}, []).items()}
    return Gbm(tuple(tickers), starts, "XNYS", seed=7, count=SYNTHETIC_STEPS * len(tickers)).blocks()


def _jobs(home: Path) -> Path:
    folder = home / "jobs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _manifest(manifest: Path, topic: str, folder: Path) -> Path:
    """Write the manifest with the demo's own topic."""
    import yaml

    document = yaml.safe_load(manifest.read_text())
    document["spec"].setdefault("source", {})["topic"] = topic
    copy = folder / manifest.name
    copy.write_text(yaml.safe_dump(document))
    return copy
