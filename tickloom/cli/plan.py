"""``tickloom plan``: what the operator would do with a manifest."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickloom.errors import TickloomError

if TYPE_CHECKING:
    from operators.streamjob.preview import Preview

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog="Examples: tickloom plan -f manifests/samples/atw.yaml | tickloom plan -f job.yaml -n tickloom --json"
)
def plan(
    manifest: Annotated[Path, typer.Option("--file", "-f", help="File of StreamJob manifests.", metavar="FILE")],
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Namespace of manifests that name none; else `default`.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig; default its current one.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Plan for an empty cluster and ask none.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a StreamJob.")] = False,
) -> None:
    """Print what a manifest changes, and what the operator would do next, and why; nothing is changed.

    It is the operator's own plan, made of the same look at the cluster. Exits with 1 where a manifest would be refused.
    """
    try:
        from operators.streamjob.cluster import Cluster
        from operators.streamjob.preview import documents, preview
        from operators.streamjob.settings import OperatorSettings
    except ImportError as error:
        raise TickloomError(
            f"tickloom plan needs {error.name}: install the extra with `pip install tickloom[operator]`"
        ) from None

    installation = OperatorSettings().installation()
    cluster = None if offline else Cluster(context)
    refused = False
    for document in documents(manifest):
        meta = document["metadata"]
        meta.setdefault("namespace", namespace or "default")
        name = f"{meta['namespace']}/{meta['name']}"
        found = preview(document, installation, cluster)
        refused = refused or bool(found.problems)
        if as_json:
            typer.echo(json.dumps({"streamjob": name, **asdict(found)}))
        else:
            _show(name, found)
    if refused:
        raise typer.Exit(1)


def _show(name: str, found: "Preview") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)
    console.print(f"StreamJob {name}")
    for problem in found.problems:
        console.print(f"  refused: {problem}", soft_wrap=True)
    for change in found.changes:
        before, after = (json.dumps(change[side]) for side in ("before", "after"))
        console.print(f"  spec.{change['field']}: {before} -> {after} ({change['class']})", soft_wrap=True)
    if not found.actions:
        console.print("  nothing to do")
        return
    table = Table("action", "object", "why")
    for line in found.actions:
        table.add_row(line["action"], line["object"], line["why"])
    console.print(table)
