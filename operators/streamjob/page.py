"""The page ``docs/streamjob.md``, made from the models, the rules of the CRD and the operator's names."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import TypeAdapter

from operators.streamjob import names
from operators.streamjob.crd import LISTS, RULES, Schema, part, schema
from operators.streamjob.fields import MEANINGS, class_of
from operators.streamjob.status import CONDITIONS, PHASES, REASONS
from tickloom.manifest.model import DURATION, ObjectName, Quantity
from tickloom.stream.deployment import Memory

SHORTEST = """\
apiVersion: tickloom.dev/v1alpha1
kind: StreamJob
metadata:
  name: atw
spec:
  tickers: [ATW]
  market: XCAS
"""
"""The shortest manifest that is accepted."""

COMPLETE = """\
apiVersion: tickloom.dev/v1alpha1
kind: StreamJob
metadata:
  name: new-york
spec:
  tickers: [AAPL, JPM, MSFT, SPY, TSLA]
  market: XNYS
  state: running
  replicas: 2
  source:
    bootstrapServers: markets-kafka-bootstrap:9093
    topic: prices
    keyed: true
    credentials: markets-stream            # the Secret of a KafkaUser, or one with username and password
    certificates: markets-cluster-ca-cert  # the Secret with the brokers' ca.crt
    createTopics:
      cluster: markets
      partitions: 12
      replicas: 3
    minPartitions: 12
    startingOffsets: earliest
    maxOffsetsPerTrigger: 200000
    failOnDataLoss: true
  processors:
    prices:
      window: 30
      threshold: 2.5
      watermark: 10m
      futureTolerance: 5m
      maxRecordBytes: 65536
    bars:
      intervals: [1m, 5m, 1d]
      indicators: [sma_20, rsi_14, macd, macd_signal, bb_upper_20_2.5, vwap]
      hours: regular
  sinks:
    cassandra:
      contactPoints: cassandra-0.cassandra:9042,cassandra-1.cassandra:9042
      keyspace: tickloom
      credentials: markets-cassandra       # a Secret with username and password
      certificates: markets-cassandra-tls  # one with the nodes' ca.crt, and the client's tls.crt and tls.key
      patience: 5m
    lake:
      enabled: true
      path: /var/lib/tickloom/lake
    topics:
      bars: true
      anomalies: true
  deadLetters: all                         # one job in all takes the records that nobody owns
  trigger:
    interval: 500ms
  runtime:
    type: sparkOperator
    image: registry.example.com/tickloom-stream:0.1.0
    imagePullPolicy: IfNotPresent
    sparkVersion: 4.2.0
    driver: {cores: 1, memory: 1g, memoryOverhead: 512m}
    executor: {cores: 2, memory: 2g, memoryOverhead: 2g}
    statePartitions: 12
    serviceAccount: tickloom-driver
    nodeSelector: {kubernetes.io/arch: amd64}
    tolerations:
      - {key: dedicated, operator: Equal, value: streaming, effect: NoExecute, tolerationSeconds: 60}
    podTemplate:
      metadata:
        annotations: {team: markets}
      spec:
        priorityClassName: streaming
    executorPodTemplate:
      metadata:
        labels: {capacity: spot}
      spec:
        nodeSelector: {capacity: spot}
  checkpoint:
    path: s3a://markets/checkpoints/new-york
    claim: {name: new-york, size: 10Gi, storageClass: standard}
  upgrade:
    mode: checkpoint
    stableBatches: 3
    maxLag: 1000000
    readinessTimeout: 10m
    rollback: true
  restart:
    policy: OnFailure
    limit: 10
    initialBackoff: 10s
    maxBackoff: 5m
    resetAfter: 10m
  autoscaling:
    min: 1
    max: 6
    targetLag: 1m
    catchUp: 10m
    stabilization: 5m
    advice: false
  retention:
    batches: 10
    attempts: 1
  retrain:
    schedule: weekly
    delay: 1h
    onDrift: {enabled: true}
    onLoss: {enabled: true, ratio: 1.1, sessions: 20}  # ratio: without it, what the monitor found alone
    agree: both
    maxAge: 90d
    newSessions: 60
    coolDown: 120  # sessions in which evidence rests after a run
    pause: 1d
    gpuHours: 20
    concurrency: 1
    quietHours: {begin: "08:00", end: "17:00"}  # times of day at the exchange
    suspend: false
    pipeline:
      name: tickloom-retrain
      models: [lstm, ridge]
      horizon: 5
      folds: 4
      test: 125
      gate: 60
      trials: 20
      seed: 0
      cpu: "4"
      memory: 8Gi
      gpus: 1
      accelerator: nvidia.com/gpu
      nodeSelector: {cloud.google.com/gke-accelerator: nvidia-l4}
      tolerations:
        - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
      poolScalesFromZero: true
"""
"""A manifest that names every field."""

ANNOTATIONS: dict[str, tuple[str, str]] = {
    names.KEEP_CHECKPOINT: ("StreamJob", "`false` lets the claim that was made for the job go with the job."),
    names.FORCE_EPOCH: (
        "StreamJob",
        "The epoch that may start although an older driver cannot be seen to be gone. Set it only when you know that "
        "the older one is gone: two drivers on one checkpoint spoil it.",
    ),
    names.RETRAIN: (
        "StreamJob",
        "Each new value asks for a retraining now, whatever `pause` and `quietHours` say; it takes a policy.",
    ),
    names.HASH: ("driver", "Hash of what it was started with."),
}
"""Each annotation with the object that bears it and its meaning."""

LABELS: dict[str, str] = {
    names.LABEL_JOB: "Name of the StreamJob.",
    names.LABEL_EPOCH: "Number of the start that the driver, its executors and its ConfigMap belong to.",
    names.LABEL_ROLE: "`driver` or `executor`.",
    names.LABEL_FACTS: "Of a ConfigMap that the monitor writes: name of the StreamJob that its facts are of.",
}
"""Each label of what the operator makes, with its meaning."""

_KINDS: dict[str, str] = {
    DURATION: "duration",
    Memory: "memory",
    TypeAdapter(Quantity).json_schema()["pattern"]: "quantity",
    TypeAdapter(ObjectName).json_schema()["pattern"]: "name",
}

_HEAD = """# StreamJob

<!-- made by `tickloom docs streamjob`; change `tickloom/stream` and `operators/streamjob`, not this page -->

A `StreamJob` is one streaming application: which tickers it owns, what is done to their prices, where the results go
and how it is kept running. The same manifest runs on one machine (`tickloom run -f job.yaml`) and on a cluster, where
the operator looks after it.

Two fields are needed; the API server writes the defaults of the others into the object. `kubectl` refuses a field that
is not listed here.

```yaml
{shortest}```

```sh
kubectl apply -f job.yaml
kubectl get sj                           # ready, phase, tickers, lag, rows a second, restarts, what is wrong
kubectl scale sj/atw --replicas=2        # asks for executors, which takes kubeflow's spark-operator
kubectl patch sj/atw --type=merge -p '{{"spec": {{"state": "suspended"}}}}'
kubectl explain sj.spec.processors.bars  # this page, in the terminal
```

## Fields

| type | looks like |
|---|---|
| duration | `500ms`, `10s`, `5m`, `2h`, `1d`: a whole number without leading zero, of at most five digits |
| memory | `512m`, `2g`: as Java writes it |
| quantity | `500m`, `2`, `10Gi`: as Kubernetes writes it |
| name | name of an object in the job's namespace: `a-z`, `0-9`, `-` and `.` |

The last column says what a change asks for while the job runs:

| change | what happens |
|---|---|
{changes}

A field whose default is *none* may be left out; its meaning says what holds then.
"""

_RULES = """## Rules between fields

The API server checks these beside the rules above, and refuses the manifest before anything is changed:

| field | rule | in CEL |
|---|---|---|
{rows}

An expression with `oldSelf` compares with the manifest as it was; it is checked on changes alone.

What takes more than the manifest to know is checked by the operator: that each ticker is in the market's list of
instruments and belongs to no other StreamJob, that each indicator exists, that a Secret is there. It writes the broken
rule into the condition `Degraded` and leaves the last good manifest running.
"""

_STATUS = """## Status

The operator writes it before it does what it says; nobody else should. Everything that it decides can be read here.

| field | type | meaning |
|---|---|---|
{rows}

### Phases

| `status.phase` | meaning |
|---|---|
{phases}

### Conditions

| type | meaning while `True` |
|---|---|
{conditions}

Wait for the driver with `kubectl wait --for=condition=Ready sj/atw --timeout=5m`. `Ready` says that it runs and
reports, not yet that a change is good: that has proved itself once `Progressing` is `False` with the reason `Stable`,
and `Degraded` is `False`. `kubectl wait --for=condition=Progressing=False sj/atw --timeout=10m` waits for the first of
the two; after a rollback it is the last good manifest that is `Stable`, and `Degraded` is `True` with the reason
`RolledBack`.

### Reasons

| reason | meaning |
|---|---|
{reasons}
"""

_NAMES = """## Annotations and labels

| annotation | of | meaning |
|---|---|---|
{annotations}

| label | meaning |
|---|---|
{labels}

The finalizer `{finalizer}` holds a StreamJob that is being deleted until its driver is gone.

## A manifest with every field

```yaml
{complete}```
"""

_SECTIONS: dict[str, str] = {
    "": "What and how much",
    "source": "Where prices come from",
    "processors": "What is done to them",
    "sinks": "Where results go",
    "trigger": "When a micro-batch starts",
    "runtime": "What the application runs on",
    "checkpoint": "Where the job remembers how far it is",
    "upgrade": "How a change is carried out",
    "restart": "What is done when the application fails",
    "autoscaling": "How the number of executors follows the lag",
    "retention": "What is kept of the past",
    "retrain": "When models are trained anew",
}


def render() -> str:
    """Return the page's text."""
    whole = schema()
    spec = part(whole, "spec")
    fields = list(_walk(spec, ""))
    sections = [
        _section(title, [item for item in fields if _section_of(item[0]) == name], whole)
        for name, title in _SECTIONS.items()
    ]
    status = [(path, node) for path, node, _ in _walk(part(whole, "status"), "") if path]
    return "\n".join(
        [
            _HEAD.format(shortest=SHORTEST, changes=_rows((f"`{name}`", text) for name, text in MEANINGS.items())),
            *sections,
            _RULES.format(
                rows=_rows((f"`{rule.field}`", _sentence(rule.message), f"`{rule.expression}`") for rule in RULES)
            ),
            _STATUS.format(
                rows=_rows((f"`{path}`", _type(node), node.get("description", "")) for path, node in status),
                phases=_named(PHASES),
                conditions=_named(CONDITIONS),
                reasons=_named(REASONS),
            ),
            _NAMES.format(
                annotations=_rows((f"`{name}`", of, text) for name, (of, text) in ANNOTATIONS.items()),
                labels=_named(LABELS),
                finalizer=names.FINALIZER,
                complete=COMPLETE,
            ),
        ]
    )


def _section_of(path: str) -> str:
    first = path.split(".", maxsplit=1)[0]
    return first if first in _SECTIONS else ""


def _walk(node: Schema, prefix: str) -> Iterator[tuple[str, Schema, bool]]:
    """Yield the path, the schema and whether it is needed, of every field below a schema."""
    for name, child in node.get("properties", {}).items():
        path = f"{prefix}{name}"
        yield path, child, name in node.get("required", [])
        yield from _walk(child, f"{path}.")
        yield from _walk(child.get("items", {}), f"{path}[].")


def _section(title: str, fields: list[tuple[str, Schema, bool]], whole: Schema) -> str:
    rows = [
        (
            f"`{path}`",
            _type(node),
            _default(node, required),
            _rule(f"spec.{path}", node),
            node.get("description", ""),
            _change(path),
        )
        for path, node, required in fields
    ]
    head = "| `spec.` | type | default | rule | meaning | change |\n|---|---|---|---|---|---|\n"
    return f"### {title}\n\n{head}{_rows(rows)}\n"


def _type(node: Schema) -> str:
    kind = str(node["type"])
    if kind == "array":
        return f"list of {_type(node['items'])}s"
    if "additionalProperties" in node:
        return f"map of {_type(node['additionalProperties'])}s"
    if node.get("format") == "date-time":
        return "time"
    return _KINDS.get(node.get("pattern", ""), kind)


def _default(node: Schema, required: bool) -> str:
    if required:
        return "**needed**"
    if "default" not in node:
        return "none"
    if node["default"] == {} and "properties" in node:
        return "of its fields"
    value = node["default"]
    if isinstance(value, list):
        return f"`[{', '.join(str(item) for item in value)}]`"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _rule(path: str, node: Schema) -> str:
    """Return what a value must keep, in words."""
    found = [*_bounds(node)]
    inner = node.get("items", {})
    found += [f"each {text}" for text in _bounds(inner)] if "properties" not in inner else []
    if LISTS.get(path, {}).get("x-kubernetes-list-type") == "set":
        found.append("none twice")
    if any(rule.field == path for rule in RULES):
        found.append("[see below](#rules-between-fields)")
    return "; ".join(found)


def _bounds(node: Schema) -> Iterator[str]:
    if "enum" in node:
        yield " or ".join(f"`{value}`" for value in node["enum"])
    if "pattern" in node and node["pattern"] not in _KINDS:
        yield f"`{node['pattern']}`"
    if node.get("exclusiveMinimum"):
        yield f"above {node['minimum']:,}"
        yield from (f"at most {node[key]:,}" for key in ("maximum",) if key in node)
    else:
        yield from _between(node.get("minimum"), node.get("maximum"), "")
    yield from _between(node.get("minLength"), node.get("maxLength"), " characters")
    yield from _between(node.get("minItems"), node.get("maxItems"), " items")
    yield from _between(None, node.get("maxProperties"), " entries")


def _between(least: Any, most: Any, of: str) -> Iterator[str]:
    if least is not None and most is not None:
        yield f"{least:,} to {most:,}{of}"
    elif least is not None:
        yield f"at least {least:,}{of if least > 1 else of.removesuffix('s')}"
    elif most is not None:
        yield f"at most {most:,}{of}"


def _change(path: str) -> str:
    try:
        return f"`{class_of(path.replace('[]', ''))}`"
    except KeyError:  # it holds fields of several classes
        return ""


def _named(meanings: dict[str, str]) -> str:
    return _rows((f"`{name}`", text) for name, text in meanings.items())


def _rows(rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
