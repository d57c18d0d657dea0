"""The process: configuration, signals, addresses."""

import signal
from pathlib import Path
from typing import Annotated

import structlog
import typer

from services.ingest.config import Config, load
from services.ingest.feeds import feeds_of
from services.ingest.service import Service
from tickloom import entry
from tickloom.errors import ConfigurationError, TickloomError
from tickloom.flag import Flag
from tickloom.health import serve
from tickloom.settings import settings

log = structlog.get_logger(__name__)
GRACE_S = 20.0
app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)


@app.command(epilog="Example: python -m services.ingest --config ingest.yaml --check")
def ingest(
    config: Annotated[
        Path, typer.Option(envvar="TICKLOOM_INGEST_CONFIG", help="YAML file of sources; docs/ingest.md says how.")
    ] = Path("/etc/tickloom/ingest.yaml"),
    only: Annotated[str | None, typer.Option(help="Run this source alone.")] = None,
    port: Annotated[int, typer.Option(help="Port of /healthz, /readyz and /metrics; 0 picks a free one.")] = 8080,
    until_finished: Annotated[
        bool, typer.Option("--until-finished", help="End once every source has come to its end, as a Job does.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Read the configuration, say every mistake, and end; no Kafka is needed.")
    ] = False,
) -> None:
    """Send the prices of each source into Kafka while its exchange is open, until stopped."""
    wanted = load(config)
    if only is not None:
        wanted = _only(wanted, only)
    if check:
        feeds_of(wanted.sources)
        typer.echo(f"{config}: no mistake; sources: {len(wanted.sources)}", err=True)
        return
    kafka = settings().kafka
    if kafka is None:
        raise ConfigurationError("no Kafka address: set TICKLOOM_KAFKA")
    service = Service(wanted, kafka, until_finished)
    asked = Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    server = serve(port, service.metrics.registry, service.dead, service.not_ready)
    log.info("started", sources=[source.name for source in wanted.sources], port=server.server_address[1])
    service.start()
    while not asked.wait(0.5):
        if until_finished and service.join(0):
            break
    service.stop.set()
    if not service.join(GRACE_S):
        raise TickloomError(f"sources did not end within {GRACE_S:g} s")


def _only(config: Config, name: str) -> Config:
    found = tuple(source for source in config.sources if source.name == name)
    if not found:
        known = ", ".join(source.name for source in config.sources)
        raise ConfigurationError(f"--only {name!r} is no source; known: {known}")
    return Config(found, config.topic)


def main() -> None:
    """Run the service; it exits as `tickloom.entry.run` says."""
    entry.run(app)
