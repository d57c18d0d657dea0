"""Takes runs to Kubeflow Pipelines and brings back what became of them, apart from all looks."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from operators.streamjob.actions import Submit
from operators.streamjob.claims import Key
from operators.streamjob.kfp import Kfp
from operators.streamjob.kfp_answers import Found, KfpError
from operators.streamjob.retrained import Run
from operators.streamjob.seen import Answer

log = structlog.get_logger()
TICK_S = 0.25
SUBMITTED_EVERY_S = 5.0
RUNNING_EVERY_S = 30.0
AT_ONCE = 4


@dataclass
class Courier:
    """Sends what it is given, and looks for what is followed.

    ``send`` and ``follow`` may be called from any thread; answers are put where ``heard`` says.

    Parameters
    ----------
    kfp
        Where to.
    heard
        Is told each answer that says something new.
    leading
        Whether this operator acts; nothing is sent otherwise.
    """

    kfp: Kfp
    heard: Callable[[Key, Answer], None]
    leading: Callable[[], bool] = lambda: True
    every_s: tuple[float, float] = (SUBMITTED_EVERY_S, RUNNING_EVERY_S)
    _given: dict[Key, Submit] = field(default_factory=dict)
    _followed: dict[Key, Run] = field(default_factory=dict)
    _answers: dict[Key, Answer] = field(default_factory=dict)
    _next: dict[Key, float] = field(default_factory=dict)
    _busy: set[Key] = field(default_factory=set)

    def send(self, key: Key, wanted: Submit) -> None:
        """Have a run sent, once for each attempt."""
        self._given[key] = wanted

    def follow(self, key: Key, run: Run | None) -> None:
        """Look for a run from now on; None ends that."""
        if run is None:
            self._followed.pop(key, None)
            self._answers.pop(key, None)
            self._next.pop(key, None)
        else:
            self._followed[key] = run

    async def run(self) -> None:
        """Go to and fro for ever."""
        gate = asyncio.Semaphore(AT_ONCE)
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                for key in self._due():
                    self._busy.add(key)
                    task = asyncio.create_task(self._go(gate, key))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                await asyncio.sleep(TICK_S)
        finally:
            await self.kfp.close()

    def _due(self) -> list[Key]:
        now = time.monotonic()
        given = list(self._given)
        asked = [
            key for key, run in list(self._followed.items()) if self._next.get(key, 0.0) <= now and self._open(key, run)
        ]
        return [key for key in dict.fromkeys((*given, *asked)) if key not in self._busy]

    def _open(self, key: Key, run: Run) -> bool:
        """Return whether a run is to be looked for: not where this attempt was clearly refused."""
        last = self._answers.get(key)
        if last is None or (last.name, last.attempt) != (run.name, run.attempt):
            return True
        return not (last.submitted and last.kind in ("refused", "denied", "unreachable", "missing"))

    async def _go(self, gate: asyncio.Semaphore, key: Key) -> None:
        try:
            async with gate:
                wanted = self._given.pop(key, None)
                run = self._followed.get(key)
                if wanted is not None and self.leading():
                    self._tell(key, await self._sent(wanted))
                elif run is not None:
                    self._tell(key, await self._asked(run))
        except Exception:
            log.exception("a run was not looked after", job="/".join(key))
        finally:
            followed = self._followed.get(key)
            known = followed is not None and followed.id is not None
            self._next[key] = time.monotonic() + self.every_s[known]
            self._busy.discard(key)

    async def _sent(self, wanted: Submit) -> Answer:
        """Send a run, unless there is one of its name."""
        asked_at = time.time()
        try:
            found = await self.kfp.find(wanted.name)
        except KfpError as error:
            # nothing was sent: whether there is one already is looked for before the next attempt too
            kind = "unreachable" if error.kind in ("unknown", "absent") else error.kind
            return Answer(wanted.name, wanted.attempt, kind, asked_at, submitted=True, text=str(error))
        if found is None:
            try:
                found = await self.kfp.create(wanted.name, wanted.pipeline, wanted.parameters, wanted.description)
            except KfpError as error:
                kind = "refused" if error.kind == "absent" else error.kind
                log.warning("run not sent", name=wanted.name, attempt=wanted.attempt, kind=kind, failure=str(error))
                return Answer(wanted.name, wanted.attempt, kind, asked_at, submitted=True, text=str(error))
            log.info("run sent", name=wanted.name, attempt=wanted.attempt, id=found.run.id)
        return _of(wanted.name, wanted.attempt, found, asked_at, submitted=True)

    async def _asked(self, run: Run) -> Answer:
        """Look for a run: by its number where it is known, else by its name."""
        asked_at = time.time()
        try:
            found = await (self.kfp.get(run.id) if run.id else self.kfp.find(run.name))
        except KfpError as error:
            kind = "unreachable" if error.kind in ("unknown", "absent", "missing") else error.kind
            return Answer(run.name, run.attempt, kind, asked_at, text=str(error))
        if found is None:
            return Answer(run.name, run.attempt, "absent", asked_at)
        return _of(run.name, run.attempt, found, asked_at)

    def _tell(self, key: Key, answer: Answer) -> None:
        before = self._answers.get(key)
        self._answers[key] = answer
        # time alone is news while a run is looked for in vain
        if before is None or answer.kind == "absent" or _says(before) != _says(answer):
            self.heard(key, answer)


def _of(name: str, attempt: int, found: Found, asked_at: float, *, submitted: bool = False) -> Answer:
    return Answer(name, attempt, "found", asked_at, submitted=submitted, run=found.run, text=found.text)


def _says(answer: Answer) -> tuple[object, ...]:
    return (answer.name, answer.attempt, answer.kind, answer.run, answer.text, answer.submitted)
