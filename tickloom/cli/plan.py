"""``tickloom plan``: what the operator would do with a manifest."""

import json
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickloom.errors import TickloomError

if TYPE_CHECKING:
    from operators.streamjob.preview import Preview
    from operators.streamjob.seen import Installation

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog="Examples: tickloom plan -f manifests/samples/atw.yaml | tickloom plan -f job.yaml -n tickloom --json"
)
def plan(
    manifest: Annotated[Path, typer.Option("--file", "-f", help="File of StreamJob manifests.", metavar="FILE")],
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Namespace of manifests that name none; default the context's."),
    ] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig; default its current one.")] = None,
    image: Annotated[
        str | None, typer.Option(help="Application's image instead of the operator's own, for jobs that name none.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no cluster; it is taken to have no jobs, and all that they need.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a StreamJob.")] = False,
) -> None:
    """Print what a manifest changes, and what the operator would do next, and why; nothing is changed.

    It is the operator's own plan, made of the same look at the cluster and of the settings that the operator there has;
    standard error says which. Exits with 1 where a manifest would be refused.
    """
    try:
        from operators.streamjob.preview import documents, preview
    except ImportError as error:
        raise TickloomError(
            f"tickloom plan needs {error.name}: install the extra with `pip install tickloom[operator]`"
        ) from None

    asked = _Asked(context, offline)
    refused = False
    for document in documents(manifest):
        meta = document["metadata"]
        if not meta.get("namespace"):
            meta["namespace"] = namespace or asked.namespace
        name = f"{meta['namespace']}/{meta['name']}"
        installation = asked.installation(meta["namespace"])
        if image is not None:
            installation = replace(installation, image=image)
        found = preview(document, installation, asked.cluster)
        refused = refused or bool(found.problems)
        if as_json:
            typer.echo(json.dumps({"streamjob": name, **asdict(found)}))
        else:
            _show(name, found)
    if refused:
        raise typer.Exit(1)


class _Asked:
    """The cluster that is asked, or none, and what its operators' settings decide for each namespace."""

    def __init__(self, context: str | None, offline: bool) -> None:
        from operators.streamjob.cluster import Cluster

        self._known: dict[str, Installation] = {}
        self._context = context
        try:
            self.cluster = None if offline else Cluster(context)
        except TickloomError as error:
            raise TickloomError(f"{error}, or ask none with --offline") from None

    @cached_property
    def namespace(self) -> str:
        """The namespace that kubectl would take, which is said where it is not ``default``; that without a cluster."""
        from operators.streamjob.cluster import namespace_of

        found = "default" if self.cluster is None else namespace_of(self._context)
        if found != "default":
            typer.echo(f"namespace of the context: {found}", err=True)
        return found

    def installation(self, namespace: str) -> "Installation":
        """Return what holds for a namespace's jobs, and say once on standard error whose settings these are."""
        from operators.streamjob.cluster import Refused
        from operators.streamjob.deployed import settings_for
        from operators.streamjob.preview import refused
        from operators.streamjob.settings import OperatorSettings

        if namespace not in self._known:
            if self.cluster is None:
                self._known[namespace] = OperatorSettings().installation()
            else:
                try:
                    settings, whose = settings_for(self.cluster, namespace)
                except Refused as error:
                    raise refused(error) from None
                typer.echo(f"settings for namespace {namespace}: {whose}", err=True)
                self._known[namespace] = settings.installation()
        return self._known[namespace]


def _show(name: str, found: "Preview") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)
    console.print(f"StreamJob {name}")
    for problem in found.problems:
        console.print(f"  refused: {problem}", soft_wrap=True)
    for text in found.assumed:
        console.print(f"  assumed: {text}", soft_wrap=True)
    for change in found.changes:
        before, after = (json.dumps(change[side]) for side in ("before", "after"))
        console.print(f"  spec.{change['field']}: {before} -> {after} ({change['class']})", soft_wrap=True)
    for text in found.notes:
        console.print(f"  note: {text}", soft_wrap=True)
    if not found.actions:
        console.print("  nothing to do")
        return
    table = Table("action", "object", "why")
    for line in found.actions:
        table.add_row(line["action"], line["object"], line["why"])
    console.print(table)
