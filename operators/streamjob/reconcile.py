"""The loop: take a key, look, plan, do; again when something changed, and at the latest after the resync."""

import contextlib
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from operators.streamjob.actions import Plan, Submit, WriteStatus
from operators.streamjob.apply import Hand, LaterError
from operators.streamjob.claims import Key
from operators.streamjob.cluster import Refused
from operators.streamjob.metrics import Metrics
from operators.streamjob.observe import see
from operators.streamjob.planner import plan
from operators.streamjob.queue import WorkQueue
from operators.streamjob.retrained import Run
from operators.streamjob.seen import Answer, Installation, Report, Seen
from operators.streamjob.watched import Watched

log = structlog.get_logger()
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
_UNKNOWN_FIELD = "field not declared in schema"
FIRST_ANSWER_S = 10.0
"""How long a driver that was healthy is given to answer an operator that has just started."""


@dataclass
class Reconciler:
    """Looks at StreamJobs, several at once, each by one worker at a time.

    Parameters
    ----------
    watched, hand
        Where it reads, and what writes.
    installation
        What the operator's settings decide for every job.
    shards, shard
        Only namespaces whose hash is this shard's.
    resync_s
        By when each job is looked at again.
    """

    watched: Watched
    hand: Hand
    installation: Installation
    metrics: Metrics
    shards: int = 1
    shard: int = 0
    resync_s: float = 300.0
    outdated: str | None = None
    """What the server said when it did not know a field of the status: its definition is of an older release."""
    queue: WorkQueue[Key] = field(default_factory=WorkQueue)
    reports: dict[Key, Report] = field(default_factory=dict)
    targets: dict[Key, "Pollable"] = field(default_factory=dict)
    answers: dict[Key, Answer] = field(default_factory=dict)
    follow: Callable[[Key, Run | None], None] = lambda key, run: None
    _submitting: threading.Lock = field(default_factory=threading.Lock)
    _failures: dict[Key, int] = field(default_factory=dict)
    _patience: dict[Key, float] = field(default_factory=dict)
    _refused: dict[Key, str] = field(default_factory=dict)
    _written: dict[Key, str] = field(default_factory=dict)
    _threads: list[threading.Thread] = field(default_factory=list)

    def mine(self, namespace: str) -> bool:
        """Return whether this shard looks after a namespace."""
        return zlib.crc32(namespace.encode()) % self.shards == self.shard

    def changed(self, key: Key, after_s: float = 0.0, *, can_wait: bool = False) -> None:
        """Have a job looked at."""
        if self.mine(key[0]):
            self.queue.add(key, after_s, can_wait=can_wait)

    def work(self, leading: Callable[[], bool]) -> None:
        """Look at one job after the other until the queue is closed."""
        while (key := self.queue.take()) is not None:
            try:
                again = self.look(key) if leading() else 1.0
            finally:
                self.queue.done(key)
            if again is not None:
                target = self.targets.get(key)
                self.queue.add(key, again, can_wait=target is not None and target.settled)

    def look(self, key: Key) -> float | None:
        """Look at one job and do what is to be done; return after how long to look again, None for never."""
        begin = time.monotonic()
        planned = acted = False
        try:
            seen = self._see(key)
            if seen is None:
                self._forget(key)
                return None
            self._note(key, seen)
            self.metrics.jobs.note(key, seen.status)
            if (wait := self._first_answer(key, seen, begin)) > 0:
                return wait
            planned = True
            wanted: Plan = plan(seen)
            submits = any(isinstance(action, Submit) for action in wanted.actions)
            # a run that starts is planned anew where no other can start, for runs count each other
            with self._submitting if submits else contextlib.nullcontext():
                if submits:
                    seen = self._see(key) or seen
                    wanted = plan(seen)
                acted = bool(wanted.actions)
                self.hand.carry_out(key, seen, wanted)
                self._carried_out(key, seen, wanted)
        except LaterError as error:
            refused = error.__cause__
            if isinstance(refused, Refused) and refused.status != 409:
                self._note_refusal(key, error, refused)
            else:
                log.debug("later", job="/".join(key), why=str(error))
            return self._back_off(key, error.seconds)
        except Refused as error:
            log.warning("the API server does not answer", job="/".join(key), failure=str(error))
            return self._back_off(key, FIRST_PAUSE_S)
        except Exception:
            self.metrics.crashes.inc()
            log.exception("look failed", job="/".join(key))
            return self._back_off(key, FIRST_PAUSE_S)
        finally:
            if planned:
                self.metrics.reconcile.labels(str(acted).lower()).observe(time.monotonic() - begin)
        if acted:
            self.outdated = None
        self._failures.pop(key, None)
        self._refused.pop(key, None)
        return min(wanted.again_s, self.resync_s)

    def _see(self, key: Key) -> Seen | None:
        answer, refused = self.answers.get(key), self._refused.get(key)
        seen = see(self.watched, key, self.installation, self.reports.get(key), time.time(), answer)
        return None if seen is None else replace(seen, refused=refused)

    def heard(self, key: Key, answer: Answer) -> None:
        """Take what Kubeflow Pipelines said of a job's run."""
        self.answers[key] = answer
        self.changed(key)

    def echoed(self, key: Key, version: str) -> bool:
        """Return whether a job's version is that of its progress as it was written here: nothing to look at."""
        return self._written.get(key) == version

    def _note(self, key: Key, seen: Seen) -> None:
        """Remember which driver is to be asked for its progress."""
        kept = seen.status.retraining
        self.follow(key, None if kept is None or seen.deleting else kept.active)
        current = next((item for item in seen.drivers if item.epoch == seen.status.epoch), None)
        if current is None or not current.address or not current.alive or current.deleting:
            self.targets.pop(key, None)
            return
        self.targets[key] = Pollable(current.address, current.epoch, seen.status.stable)

    def _carried_out(self, key: Key, seen: Seen, wanted: Plan) -> None:
        """Remember the status that was written."""
        for action in wanted.actions:
            if isinstance(action, WriteStatus):
                self.metrics.jobs.note(key, action.status)
        if _only_progress(seen, wanted):
            self._written[key] = self.watched.version(key)

    def _note_refusal(self, key: Key, error: LaterError, refused: Refused) -> None:
        """Remember what the server refuses, for the status to say so."""
        if not refused.passing:
            if key not in self._refused:
                error.seconds = FIRST_PAUSE_S
            self._refused[key] = str(error)
        if _UNKNOWN_FIELD in refused.message and self.outdated is None:
            self.outdated = f"{refused.message}: apply manifests/crds of this release"
            log.error("the CustomResourceDefinition is older than this operator", failure=self.outdated)
        log.warning("the API server refused", job="/".join(key), failure=str(error))

    def _first_answer(self, key: Key, seen: Seen, now: float) -> float:
        """Return how long to wait for the first answer of a driver that was healthy before this operator started.

        Without it each job's Ready would turn Unknown and back whenever an operator starts.
        """
        if seen.report is not None or seen.deleting or key not in self.targets or seen.status.healthy_since is None:
            return 0.0
        return self._patience.setdefault(key, now + FIRST_ANSWER_S) - now

    def silent(self, key: Key) -> None:
        """Wait no longer for a driver's first answer: it was asked in vain."""
        if self._patience.get(key, 0.0) > time.monotonic():
            self._patience[key] = 0.0
            self.changed(key)

    def _forget(self, key: Key) -> None:
        for known in (
            self.reports,
            self.targets,
            self._failures,
            self._patience,
            self._written,
            self._refused,
            self.answers,
        ):
            known.pop(key, None)
        self.follow(key, None)
        self.metrics.jobs.forget(key)

    def _back_off(self, key: Key, least_s: float) -> float:
        """Return a pause that grows when one look after the other fails."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        grown = FIRST_PAUSE_S * 2.0 ** min(count - 3, 10) if count > 3 else 0.0
        return max(least_s, min(LONGEST_PAUSE_S, grown))

    def start(self, workers: int, leading: Callable[[], bool]) -> list[threading.Thread]:
        """Start the workers."""
        threads = [
            threading.Thread(target=self.work, args=(leading,), name=f"worker-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in threads:
            thread.start()
        self._threads = threads
        return threads

    def join(self, seconds: float) -> None:
        """Wait for the looks that are under way, once the queue is closed."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))


def _only_progress(seen: Seen, wanted: Plan) -> bool:
    """Return whether a plan writes nothing but what the driver reported."""
    match wanted.actions:
        case (WriteStatus(status=new),):
            old = seen.status
            return new.model_copy(update={"progress": old.progress, "progress_at": old.progress_at}) == old
    return False


@dataclass(frozen=True)
class Pollable:
    """A driver that is asked for its progress."""

    address: str
    epoch: int
    settled: bool
