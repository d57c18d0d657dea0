"""A small cluster in memory: it does what plans say, and its drivers do what they are told."""

import json
from dataclasses import dataclass, field, replace

from operators.streamjob import names
from operators.streamjob.actions import Apply, Delete, SetFinalizer, Start, Submit, Tell, WriteStatus
from operators.streamjob.facts import Facts
from operators.streamjob.planner import plan
from operators.streamjob.seen import Answer, Child, Driver, Installation, Report, Seen
from operators.streamjob.status import Status, dump, read

MINIMAL = {"tickers": ["ATW"], "market": "XCAS"}


class Killed(Exception):
    """The operator died."""


@dataclass
class World:
    """One StreamJob and everything around it."""

    spec: dict = field(default_factory=lambda: dict(MINIMAL))
    now: float = 1_000_000.0
    generation: int = 1
    status: Status = field(default_factory=Status)
    finalizers: tuple = ()
    annotations: dict = field(default_factory=dict)
    deleting: bool = False
    gone: bool = False
    drivers: dict = field(default_factory=dict)
    children: dict = field(default_factory=dict)
    report: Report | None = None
    installed: frozenset = frozenset()
    secrets: dict = field(default_factory=dict)
    owners: dict = field(default_factory=dict)
    image: str = "stream:1"
    kafka_secrets: tuple = (None, None)
    cassandra_secrets: tuple = (None, None)
    instruments: str | None = None
    holidays: str | None = None
    kubeflow: str | None = "http://kfp"
    facts: Facts | None = None
    rivals: dict = field(default_factory=dict)
    busy: tuple = ()
    missing: str | None = None
    answer: Answer | None = None
    sent: list = field(default_factory=list)
    log: list = field(default_factory=list)
    events: list = field(default_factory=list)
    started: list = field(default_factory=list)
    writes: int = 0

    def seen(self) -> Seen:
        return Seen(
            now=self.now,
            name="atw",
            namespace="default",
            uid="uid-atw",
            generation=self.generation,
            installation=Installation(
                self.image,
                kafka_secrets=self.kafka_secrets,
                cassandra_secrets=self.cassandra_secrets,
                instruments=self.instruments,
                holidays=self.holidays,
                kubeflow=self.kubeflow,
                mlflow="http://mlflow",
            ),
            raw_spec=self.spec,
            annotations=self.annotations,
            finalizers=self.finalizers,
            deleting=self.deleting,
            status=read(json.loads(json.dumps(dump(self.status)))),
            drivers=tuple(self.drivers.values()),
            children=tuple(self.children.values()),
            secrets=self.secrets,
            owners=self.owners,
            installed=self.installed,
            report=self.report,
            facts=self.facts,
            rivals=self.rivals,
            busy=self.busy,
            missing=self.missing,
            answer=self.answer,
        )

    def look(self, *, die_after: int | None = None):
        """Plan once and do it; die after so many actions."""
        if self.gone:
            return ()
        made = plan(self.seen())
        for number, action in enumerate(made.actions):
            if number == die_after:
                raise Killed
            self._do(action)
        return made.actions

    def settle(self, looks: int = 12, seconds: float = 1.0):
        """Look again and again, until nothing is left to do."""
        for _ in range(looks):
            if not self.look():
                break
            self.now += seconds
        return self

    def _do(self, action):
        self.log.append(action)
        match action:
            case WriteStatus(status=status):
                self.status = status
                self.writes += 1
            case SetFinalizer(present=present):
                self.finalizers = (names.FINALIZER,) if present else ()
                self.gone = self.deleting and not present
            case Apply(manifest=manifest):
                name = manifest["metadata"]["name"]
                key = (manifest["kind"], name)
                self.children[key] = Child(manifest["kind"], name, f"uid-{name}", json.loads(json.dumps(manifest)))
            case Start(manifest=manifest, epoch=epoch, forced=forced):
                others = [it for it in self.drivers.values() if it.alive and it.epoch != epoch]
                assert forced or not others, f"epoch {epoch} beside {others}"
                name = manifest["metadata"]["name"]
                if name not in self.drivers:
                    self.started.append(epoch)
                    self.drivers[name] = Driver(
                        kind=manifest["kind"],
                        name=name,
                        uid=f"uid-{name}-{len(self.started)}",
                        epoch=epoch,
                        spec_hash=manifest["metadata"]["annotations"][names.HASH],
                    )
            case Delete(kind=kind, name=name, uid=uid):
                if kind in ("Pod", "SparkApplication"):
                    found = self.drivers.get(name)
                    if found and found.uid == uid:
                        if found.alive:
                            self.drivers[name] = replace(found, deleting=True)
                        else:
                            del self.drivers[name]
                else:
                    self.children.pop((kind, name), None)
            case Submit():
                self.sent.append(action)
            case Tell():
                self.events.append(action)

    @property
    def current(self) -> Driver:
        return next(it for it in self.drivers.values() if it.epoch == self.status.epoch)

    def change_driver(self, **values):
        self.drivers[self.current.name] = replace(self.current, **values)

    def terminate(self):
        """Let every driver that was told to go be gone."""
        self.drivers = {name: it for name, it in self.drivers.items() if not it.deleting}

    def run(self, checks=5, lag=0, state="running", **more):
        """Let the current driver run and report."""
        self.change_driver(phase="running", ready=True, address="10.0.0.1")
        self.report = Report(
            epoch=self.status.epoch,
            state=state,
            at=self.now,
            batch=checks,
            checks=checks,
            lag=lag,
            partitions=3,
            **more,
        )

    def fail(self, kind="Application", message="ValueError: no"):
        self.change_driver(phase="failed", ready=False, failure=kind, message=message)

    def edit(self, **changes):
        """Change the manifest: keys are dotted paths with `__`."""
        self.spec = json.loads(json.dumps(self.spec))
        for path, value in changes.items():
            at = self.spec
            *parents, last = path.split("__")
            for part in parents:
                at = at.setdefault(part, {})
            at[last] = value
        self.generation += 1

    def stable(self):
        """Bring the job to where it has proved itself."""
        self.settle()
        self.run()
        self.settle()
        assert self.status.stable
        return self

    def condition(self, kind):
        return next(it for it in self.status.conditions if it.type == kind)

    def reasons(self):
        return [event.reason for event in self.events]
