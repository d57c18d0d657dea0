"""``tickloom run``: run a StreamJob manifest on this machine."""

import json
import signal
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tickloom.files import alone

if TYPE_CHECKING:
    from tickloom.stream.app import Wiring
    from tickloom.stream.job import StreamJob

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Example: tickloom run -f manifests/demo.yaml --bounded --json")
def run(
    manifest: Annotated[Path, typer.Option("--file", "-f", help="The StreamJob manifest.", metavar="FILE")],
    home: Annotated[Path | None, typer.Option(help="Folder of the embedded stack and of the job's checkpoint.")] = None,
    bounded: Annotated[
        bool, typer.Option("--bounded", help="Stop when the topic is processed, after making every bar final.")
    ] = False,
    port: Annotated[int, typer.Option(help="Port of /progress and /metrics; 0 picks a free one.")] = 0,
    host: Annotated[str, typer.Option(help="Address that /progress and /metrics listen on.")] = "127.0.0.1",
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
) -> None:
    """Run a StreamJob manifest on this machine, until SIGTERM, Ctrl-C, or (with --bounded) the end of the topic.

    It goes on from its checkpoint: what is in the tables once is never in them twice.
    """
    totals = execute(manifest, home, bounded=bounded, port=port, host=host)
    if as_json:
        typer.echo(json.dumps(totals))
    else:
        typer.echo(_table(totals))


def execute(
    manifest: Path,
    home: Path | None,
    *,
    bounded: bool,
    port: int = 0,
    host: str = "127.0.0.1",
    job_folder: Path | None = None,
) -> dict[str, Any]:
    """Run the manifest and return the totals of this run; ``job_folder`` holds checkpoint and lake."""
    signal.signal(signal.SIGTERM, _leave)  # until there is something to finish
    from tickloom.cli.wiring import wire
    from tickloom.stream.job import load

    job = load(manifest)
    wiring = wire(job, home, job_folder)

    from tickloom.settings import settings

    epoch = settings().epoch

    # with an epoch, the fence decides: the later one takes over
    def taken(holder: str) -> str:
        return (
            f"StreamJob {job.metadata.name} already runs here, as process {holder} ({wiring.folder}); "
            "stop that one first"
        )

    with alone(wiring.folder, taken) if epoch is None else nullcontext():
        return _run(job, wiring, epoch, bounded=bounded, host=host, port=port)


def _run(
    job: "StreamJob", wiring: "Wiring", epoch: int | None, *, bounded: bool, host: str, port: int
) -> dict[str, Any]:
    from tickloom.market.sessions import session_table
    from tickloom.settings import settings
    from tickloom.stream.checkpoint import Fence
    from tickloom.stream.progress import Progress, serve
    from tickloom.stream.runner import Runner, handle_signals

    def trades(at_s: float) -> bool:
        return session_table(job.spec.market).open_at(at_s)  # read at the first question, for it takes a while

    progress = Progress(job.metadata.name, len(job.spec.tickers), epoch, trades)
    server, address = serve(progress, host, port)
    (wiring.folder / "progress.url").write_text(address + "\n")
    tell = _tell_people if settings().log_format == "console" else _tell_machines
    tell(f"progress and metrics: {address}/progress, {address}/metrics", {})

    def told(snapshot: dict[str, Any]) -> None:
        totals, lag = snapshot["totals"], snapshot["lag"]
        tell(
            f"batch {snapshot['batch']}: {snapshot['rows']:,} records, {snapshot['rows_per_second']:,.0f}/s, "
            f"lag {'unknown' if lag is None else f'{lag:,}'}; "
            f"since its start {totals['rows_in']:,} in, {totals['rows_out']:,} ticks, "
            f"{totals['bars']:,} bars, {totals['anomalies']:,} anomalies",
            {name: snapshot[name] for name in ("job", "batch", "rows", "rows_per_second", "lag")},
        )

    runner = Runner(job, wiring, bounded, progress, Fence.of(job, wiring.folder, epoch, settings().incarnation), told)
    handle_signals(runner)
    try:
        return runner.run()
    finally:
        server.shutdown()


def _tell_people(text: str, about: dict[str, Any]) -> None:
    from rich.console import Console

    Console(stderr=True).print(text, highlight=False, soft_wrap=True)


def _tell_machines(text: str, about: dict[str, Any]) -> None:
    import structlog

    structlog.get_logger().info(text, **about)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _table(totals: dict[str, Any]) -> str:
    return "\n".join(f"{name:>20}  {value}" for name, value in totals.items())
