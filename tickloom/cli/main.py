"""The ``tickloom`` command: gathers the verbs."""

import importlib
from typing import Any

import typer
from typer.core import TyperGroup

from tickloom import __version__, entry

VERBS: dict[str, str] = {
    "up": "Start the embedded Kafka and Cassandra.",
    "down": "Stop the embedded Kafka and Cassandra; nothing is lost.",
    "status": "Say what of the embedded stack runs, where, and with how much memory.",
    "doctor": "Check Java, jars, ports, disk and memory, and say what to do.",
    "topics": "Make the topics of an installation.",
    "migrate": "Make the keyspace and the tables of an installation.",
    "ingest": "Put prices into Kafka: replay a file, make synthetic ones, or ask Yahoo.",
    "run": "Run a StreamJob manifest on this machine.",
    "plan": "Say what the operator would do with a StreamJob manifest, and why.",
    "show": "Print prices, bars, anomalies or dead letters as a table.",
    "load": "Write a CSV of bars straight into the store, with its indicators.",
    "indicators": "Compute every indicator for a CSV of bars.",
    "train": "Learn a model, judge it against the random walk, register it.",
    "pipelines": "Retrain as a Kubeflow pipeline, on this machine or in a cluster.",
    "models": "List the versions of a ticker's models.",
    "forecast": "Forecast a ticker's next sessions by a registered model.",
    "serve": "Answer forecasts over HTTP.",
    "experiment": "Compare models on what they forecast, and promote the better one.",
    "ledger": "Score served forecasts when their session has closed, and show them.",
    "drift": "Say what changed in a ticker's prices and losses, and whether to train again.",
    "watch": "Write down what a retraining policy needs to know of a list of tickers.",
    "ask": "Ask the forecast service for a ticker's next sessions.",
    "keys": "Make API keys of the forecast service.",
    "audit": "Prove that no feature and no forecast changes with what comes later.",
    "evaluate": "Say of forecasters whether they beat a random walk.",
    "demo": "Show the main job from prices to table on this machine.",
    "bench": "Measure Tickloom beside its peers.",
    "docs": "Write the pages that are generated from the code.",
}


class LazyGroup(TyperGroup):
    """Imports a verb's module only when that verb is called, so that ``tickloom --help`` stays fast."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the verbs in the order of the way of the data."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the verb's module and return its command, or None for an unknown verb."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"tickloom.cli.{cmd_name}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        command.short_help = VERBS[cmd_name]
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the verbs without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


group = typer.Typer(
    name="tickloom",
    cls=LazyGroup,
    help="Real-time market analytics: Kafka to Spark to Cassandra, on one laptop or on Kubernetes.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@group.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and exit.", is_eager=True)) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def app() -> None:
    """Run the command line: 0 on success, else as `tickloom.entry.run` says."""
    entry.run(group)


if __name__ == "__main__":
    app()
