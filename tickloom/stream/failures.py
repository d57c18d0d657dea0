"""What the text of a query's failure says: of Java's exceptions only text gets to Python."""

import re

from tickloom.errors import ConfigurationError

LONGEST = 300
_PLAN = re.compile(r"=== Streaming Query ===|Current Committed Offsets:|Logical Plan:|JVM stacktrace:")
_WRONG = re.compile(rf"^{ConfigurationError.__module__}\.{ConfigurationError.__name__}: (.+)$", re.M)
_FRAME = re.compile(r"at [\w.$/<>]+\(|\.\.\. \d+ more|File \"")
_RAISED = re.compile(r"(Caused by: )?([\w$]+\.)*[\w$]*(Error|Exception)[\w$]*(:|$)")
_STATE = re.compile(r"SQLSTATE: \w+")
_LOST = re.compile(r"KAFKA_DATA_LOSS|Some data may have been lost because they are not available in Kafka")
# The reasons of KAFKA_DATA_LOSS in spark-sql-kafka's error/kafka-error-conditions.json, and the wording before Spark 4.
_CHANGED = re.compile(r"Partition (?P<at>\S+?)(?:'s)? offset was changed from (?P<read>\d+) to (?P<found>\d+)")
_RESET = re.compile(r"Starting offset for (?P<at>\S+) was (?P<read>\d+) but consumer reset to (?P<found>\d+)")
_ADDED = re.compile(r"Added partition (?P<at>\S+) starts from (?P<found>\d+) instead of (?P<read>0)")
_UNREAD = re.compile(r"read records in offset \[(?P<first>\d+), (?P<end>\d+)\) for topic partition (?P<at>\S+)")
_GAP = "set spec.source.failOnDataLoss to false to go on with a gap"
_ANEW = (
    "begin a new checkpoint: another spec.checkpoint.path, and for a StreamJob of the operator also "
    "spec.upgrade.mode: stateless; or delete the checkpoint"
)


def misconfigured(text: str) -> str | None:
    """Return what is wrong with the configuration, where a task failed for that."""
    found = _WRONG.search(text)
    return found[1][:2000] if found else None


def data_loss(text: str) -> str | None:
    """Return what Kafka no longer has of what the checkpoint goes on from, and the remedy; None for other failures.

    Offsets that aged out and a topic that was made anew look alike to Spark, but not to who has to act: with the
    checkpoint of a topic that is gone, ``failOnDataLoss: false`` would leave out what the new topic holds.
    """
    parts = [part for part in _PLAN.split(text) if _LOST.search(part)]
    if not parts:
        return None
    said = " ".join(_STATE.sub("", parts[0]).split())
    if moved := _CHANGED.search(said) or _RESET.search(said) or _ADDED.search(said):
        at, read, found = moved["at"], int(moved["read"]), int(moved["found"])
        if found < read:
            return (
                f"partition {at} ends at offset {found}, and the checkpoint has read up to {read}: the topic was made "
                f"anew, or has lost its newest records; {_ANEW}. With failOnDataLoss false this checkpoint would skip "
                "what the topic now holds, and its state would refuse as late what is older than what it has seen"
            )
        return f"partition {at} begins at offset {found}, and the checkpoint goes on from {read}; {_GAP}"
    if unread := _UNREAD.search(said):
        what = f"partition {unread['at']} has not all of the offsets {unread['first']} to {int(unread['end']) - 1}"
    else:
        what = said.rsplit("Reason: ", 1)[-1][:LONGEST].rstrip(". ")
    return f"{what}; where they were removed for their age, {_GAP}; where the topic was made anew, {_ANEW}"


def cause(text: str) -> str:
    """Return the innermost cause in one line of at most ``LONGEST`` characters, without Spark's plan of the query."""
    head = _PLAN.split(text)[0]
    lines = [line.strip() for line in head.splitlines()]
    lines = [line for line in lines if line and not _FRAME.match(line)]
    if not lines:
        return "unknown"
    inner = max((number for number, line in enumerate(lines) if line.startswith("Caused by: ")), default=0)
    lines = lines[inner:]
    raised = [line for line in lines if _RAISED.match(line)]
    telling = [line for line in lines if "Error" in line or "Exception" in line]
    line = raised[-1] if raised else telling[-1] if telling else lines[0]
    line = line.removeprefix("Caused by: ")
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
