"""The checkpoint: where it is, who may write it, what it says was read."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from tickloom.errors import TickloomError
from tickloom.files import write_whole
from tickloom.stream.job import StreamJob

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def location(job: StreamJob, folder: Path) -> str:
    """Return the folder of the job's checkpoint as an absolute path, or its URI."""
    path = job.spec.checkpoint.path
    if path is None:
        return str(folder / "checkpoint")
    return path if is_uri(path) else str(Path(path).absolute())


def is_uri(path: str) -> bool:
    """Return whether a path names an object store or another file system, and not a folder."""
    return _SCHEME.match(path) is not None


@dataclass(frozen=True)
class Fence:
    """Keeps two epochs of a job from writing at the same time, by a file that holds the newest epoch.

    The file lies in the job's folder, and also in the checkpoint's where that is a folder: whichever of the two a
    newer epoch shares with this one, this one sees it.

    Parameters
    ----------
    name
        The job's name.
    epoch
        This start's number; with None the fence is open and leaves no trace.
    files
        Where the epoch is written.
    incarnation
        Goes before the epoch: the epochs of a StreamJob that was deleted and made anew begin at 1 again.
    """

    name: str
    epoch: int | None
    files: tuple[Path, ...]
    incarnation: int = 0

    @classmethod
    def of(cls, job: StreamJob, folder: Path, epoch: int | None, incarnation: int = 0) -> "Fence":
        """Return the fence of a job with its folder."""
        where = location(job, folder)
        folders = (folder,) if is_uri(where) else (folder, Path(where))
        return cls(job.metadata.name, epoch, tuple(item / "epoch" for item in folders), incarnation)

    def enter(self) -> None:
        """Take over: every driver with a lower epoch stops before its next micro-batch.

        Raises
        ------
        TickloomError
            A newer epoch has been here.
        """
        self.check()
        for file in self.files if self.epoch is not None else ():
            write_whole(file, f"{self.epoch} {self.incarnation}\n" if self.incarnation else f"{self.epoch}\n")

    def check(self) -> None:
        """Do nothing while no newer epoch has entered.

        Raises
        ------
        TickloomError
            One has.
        """
        if self.epoch is None:
            return
        for file in self.files:
            incarnation, newest = _read(file)
            if (incarnation, newest) <= (self.incarnation, self.epoch):
                continue
            if incarnation > self.incarnation:
                fix = f"a StreamJob of its name that was made later has; start with TICKLOOM_INCARNATION={incarnation}"
            else:
                fix = f"start with TICKLOOM_EPOCH={newest} or higher"
            raise TickloomError(
                f"StreamJob {self.name}: epoch {newest} has taken over ({file}), so epoch {self.epoch} writes nothing "
                f"more; {fix}"
            )


def _read(file: Path) -> tuple[int, int]:
    """Return the incarnation and the epoch in a file, an epoch of -1 where there is none."""
    try:
        text = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return 0, -1
    parts = text.split()
    if not 1 <= len(parts) <= 2 or not all(part.isdecimal() for part in parts):
        raise TickloomError(f"{file} holds {text[:40]!r} and not the number of an epoch; write the newest one into it")
    return int(parts[1]) if len(parts) == 2 else 0, int(parts[0])


def partitions_read(spark: SparkSession, where: str, topic: str) -> set[int]:
    """Return the partitions of ``topic`` that the checkpoint at ``where`` holds offsets of; none where it is new."""
    try:
        lines = spark.read.text(f"{where}/offsets").collect()
    except AnalysisException:
        return set()
    found: set[int] = set()
    for line in lines:
        if topic in line["value"] and line["value"].startswith("{"):
            found |= {int(number) for number in json.loads(line["value"]).get(topic, {})}
    return found
