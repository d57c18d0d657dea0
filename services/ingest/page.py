"""docs/ingest.md, made from the models of the configuration."""

from pydantic import BaseModel

from services.ingest.config import KINDS, Backoff, Source
from services.ingest.metrics import Metrics
from tickloom.manifest.page import fields_table

_HEAD = """# Ingest

`python -m services.ingest` (image `tickloom/ingest`, chart `ingest`) sends prices into Kafka. It takes one YAML file,
by default `/etc/tickloom/ingest.yaml`, with a list of sources. Each source runs by itself: one that fails pauses, twice
as long each time, and holds up none of the others.

```yaml
sources:
  - name: us-minutes
    kind: yahoo
    market: XNYS
    tickers: [AAPL, MSFT]
    interval: 1m
    every: 60s
    jitter: 5s
  - name: made
    kind: gbm
    market: XCAS
    tickers: [ATW]
    rate: 2
```

`--check` reads the file, says every mistake, and ends, with 78 where there is one. It asks neither Kafka nor a source,
and reads no file of a replay. `--only NAME` runs one source, and `--until-finished` ends once every source has come to
its end, as a Job or CronJob wants: a replay with its last record, a source that follows an exchange with the last turn
of the day. A CronJob may therefore start it before the open and have it collect all day, or after the close for the
whole day at once; on a day without a session it ends as it starts.

- A source that follows an exchange is asked from the first complete bar after the open until soon after the close, by
  the exchange's own calendar: its zone, short days and holidays. When the service starts in the middle of a session, it
  asks at once, for all that there was today.
- Records have the same identity whenever they are sent, so what a kill has sent twice a StreamJob keeps once. After a
  failure a source goes on after the last record that Kafka acknowledged.
- Kafka's address and credentials are those of `TICKLOOM_KAFKA` and `TICKLOOM_KAFKA_CREDENTIALS`
  ([settings](settings.md)). The topic is made if it is absent.
- `/readyz` answers 503, and says which source and why, while a source has not reached Kafka yet or its last turn has
  failed. `/healthz` answers 503 only when a source's thread has ended without a word: a restart cures nothing else.
- SIGTERM waits until what was queued is acknowledged. Exit codes: 0, 78 for wrong configuration, 1 for other failures.
"""

_TAIL = """## What it is bad at

- A made series (`gbm`) begins in the past, `sessions` sessions before now, comes at its `rate` until it has caught up
  with the clock, and from then on each record at its own time: nothing at night. When the service starts again, so does
  the series: what was sent already, a StreamJob drops.
- Yahoo Finance lists no shares of Casablanca, and what it lists is not for every use: see its terms.
- One process sends what it is told to; two with one configuration send everything twice, which a StreamJob drops.
"""


def render() -> str:
    """Return the page."""
    parts = [_HEAD, "## Sources\n", _table("every source", Source, ())]
    parts += [_table(f"`kind: {kind}`", model, tuple(Source.model_fields)) for kind, model in sorted(KINDS.items())]
    parts += [_table("`backoff`", Backoff, ()), _metrics(), _TAIL]
    return "\n".join(parts)


def _table(title: str, model: type[BaseModel], without: tuple[str, ...]) -> str:
    says = "" if title.startswith(("every", "`backoff")) else f"{model.__doc__}\n\n"
    return f"### {title[0].upper()}{title[1:]}\n\n{says}{fields_table(model, (*without, 'kind'))}"


def _metrics() -> str:
    rows = ["## Metrics\n\nEach has the label `source`.\n\n| metric | what it is |\n|---|---|"]
    for family in Metrics().registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        rows.append(f"| `{name}` | {family.documentation} |")
    return "\n".join(rows) + "\n"
