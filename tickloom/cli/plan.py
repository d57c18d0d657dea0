"""``tickloom plan``: what the operator would do with a manifest."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tickloom.errors import TickloomError

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog="Example: tickloom plan -f manifests/samples/atw.yaml")
def plan(
    manifest: Annotated[Path, typer.Option("--file", "-f", help="File of StreamJob manifests.", metavar="FILE")],
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig; default its current one.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Plan for an empty cluster and ask none.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a StreamJob.")] = False,
) -> None:
    """Print what the operator would do with a manifest now, and why; nothing is changed.

    It is the operator's own plan, made of the same look at the cluster.
    """
    try:
        from operators.streamjob.cluster import Cluster
        from operators.streamjob.preview import documents, preview
        from operators.streamjob.settings import OperatorSettings
    except ImportError as error:
        raise TickloomError(
            f"tickloom plan needs {error.name}: install the extra with `pip install tickloom[operator]`"
        ) from None
    from rich.console import Console
    from rich.table import Table

    installation = OperatorSettings().installation()
    cluster = None if offline else Cluster(context)
    for document in documents(manifest):
        meta = document["metadata"]
        name = f"{meta.get('namespace') or 'default'}/{meta['name']}"
        actions = preview(document, installation, cluster)
        if as_json:
            typer.echo(json.dumps({"streamjob": name, "actions": actions}))
            continue
        table = Table("action", "object", "why", title=f"StreamJob {name}", title_justify="left")
        for line in actions:
            table.add_row(line["action"], line["object"], line["why"])
        Console(markup=False).print(table if actions else f"StreamJob {name}: nothing to do")
