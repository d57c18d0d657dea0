"""Options that several verbs have, each declared once."""

from pathlib import Path
from typing import Annotated

import typer

Home = Annotated[
    Path | None,
    typer.Option(help="Folder of the embedded stack's data, logs and ports; default TICKLOOM_HOME or .tickloom."),
]
Bootstrap = Annotated[str | None, typer.Option(help="Kafka bootstrap servers; default the embedded broker's.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
"""For a verb whose whole answer is one object; the others say in their own words what they print."""

Market = Annotated[str | None, typer.Option(help="XNYS or XCAS; default the known instrument's, else XNYS.")]
FileTicker = Annotated[str | None, typer.Option(help="Ticker; default the file name up to its first _ or dot.")]
FileInterval = Annotated[str | None, typer.Option(help="1m, 5m, 15m, 1h, 1d; default the usual spacing.")]
Dates = Annotated[str, typer.Option(help="auto, day-first or month-first.")]
