"""What is told of a query's failure, from the texts that Spark 4.2 gives."""

from types import SimpleNamespace

import pytest

from operators.streamjob import read
from tickloom.errors import ConfigurationError
from tickloom.stream.failures import LONGEST, cause, data_loss
from tickloom.stream.runner import Runner

PLAN = f"""
=== Streaming Query ===
Identifier: atw [id = 0f9e0a1c-5d0e-4a7a-8f3c-2f6f2f0f7c11, runId = 5b0c7b9e-7d7e-4a57-9d0f-6d5d3f4d9a10]
Current Committed Offsets: {{KafkaV2[Subscribe[prices]]: {{"prices":{{"0":3015}}}}}}
Current Available Offsets: {{KafkaV2[Subscribe[prices]]: {{"prices":{{"0":108}}}}}}

Current State: ACTIVE
Thread State: RUNNABLE

Logical Plan:
Project [concat_ws(, refusal#1694, cast(partition#1701 as string), ParseError#1702){", cast(x#1 as string)" * 400}]
+- StreamingRelationV2 kafka, [failOnDataLoss=true, startingOffsets=earliest]
"""
QUERY = "[STREAM_FAILED] Query [id = 0f9e0a1c-5d0e, runId = 5b0c7b9e-7d7e] terminated with exception: "
TASK = """Job aborted due to stage failure: Task 0 in stage 7.0 failed 4 times, most recent failure: Lost task 0.3:
"""
LOST = """[KAFKA_DATA_LOSS.{kind}] Some data may have been lost because they are not available in Kafka any more;
either the data was aged out by Kafka or the topic may have been deleted before all the data in the
topic was processed.
If you don't want your streaming query to fail on such cases, set the source option failOnDataLoss to false.
Reason: {reason} SQLSTATE: 22000"""


def lost(kind, reason, before=QUERY):
    return before + LOST.format(kind=kind, reason=reason) + " SQLSTATE: XXKST" + PLAN


def changed(read, found):
    return lost(
        "PARTITION_OFFSET_CHANGED",
        f"Partition prices-0 offset was changed from {read} to {found}.\nThis could be either 1) a user error that the "
        "start offset is set beyond available offset when starting query, or 2) the kafka topic-partition is deleted "
        "and re-created.",
    )


SPARK_3 = (
    "Partition prices-0's offset was changed from 3015 to 108, some data may have been missed.\n"
    "Some data may have been lost because they are not available in Kafka any more; either the\n"
    " data was aged out by Kafka or the topic may have been deleted before all the data in the\n"
    " topic was processed. If you don't want your streaming query to fail on such cases, set the\n"
    ' source option "failOnDataLoss" to "false".\n'
)


@pytest.mark.parametrize("text", [changed(3015, 108), TASK + changed(3015, 108), SPARK_3 + PLAN])
def test_offsets_that_went_back_ask_for_a_new_checkpoint(text):
    said = data_loss(text)
    assert said.startswith(
        "partition prices-0 ends at offset 108, and the checkpoint has read up to 3015: the topic was"
    )
    assert "begin a new checkpoint" in said
    assert "upgrade.mode: stateless" in said
    assert "set spec.source.failOnDataLoss" not in said


@pytest.mark.parametrize(
    ("text", "begins", "goes_on"),
    [
        (changed(108, 3015), 3015, 108),
        (
            lost(
                "START_OFFSET_RESET",
                "Starting offset for prices-0 was 108 but consumer reset to 3015.",
            ),
            3015,
            108,
        ),
        (
            lost(
                "ADDED_PARTITION_DOES_NOT_START_FROM_OFFSET_ZERO",
                "Added partition prices-0 starts from 40 instead of 0.",
            ),
            40,
            0,
        ),
    ],
)
def test_offsets_that_aged_out_can_be_gone_over(text, begins, goes_on):
    said = data_loss(text)
    assert f"partition prices-0 begins at offset {begins}, and the checkpoint goes on from {goes_on};" in said
    assert "set spec.source.failOnDataLoss to false" in said
    assert "new checkpoint" not in said


@pytest.mark.parametrize(
    ("kind", "reason", "said"),
    [
        (
            "COULD_NOT_READ_OFFSET_RANGE",
            "Could not read records in offset [108, 208) for topic partition prices-0\nwith consumer group spark-1.",
            "partition prices-0 has not all of the offsets 108 to 207;",
        ),
        ("PARTITIONS_DELETED", "Partitions prices-2 have been deleted.", "Partitions prices-2 have been deleted"),
    ],
)
def test_where_the_reason_cannot_be_told_both_remedies_are(kind, reason, said):
    told = data_loss(lost(kind, reason, before=TASK + "org.apache.spark.SparkException: "))
    assert told.startswith(said)
    assert "set spec.source.failOnDataLoss to false" in told
    assert "begin a new checkpoint" in told


def test_the_option_in_a_plan_is_no_data_loss():
    assert data_loss(QUERY + "Connection refused" + PLAN) is None


@pytest.mark.parametrize(("read_", "found"), [(3015, 108), (108, 3015)])
def test_a_job_whose_records_are_gone_ends_at_once_with_a_sentence_that_the_status_shows(read_, found):
    runner = SimpleNamespace(job=SimpleNamespace(metadata=SimpleNamespace(name="atw")))
    with pytest.raises(ConfigurationError, match=r"StreamJob atw: .* gone from Kafka: partition prices-0") as ended:
        Runner._cause(runner, changed(read_, found))
    log = f"2024-03-14T13:30:00Z [info] starts\nerror: {ended.value}\n"
    pod = {"containerStatuses": [{"state": {"terminated": {"exitCode": ended.value.exit_code, "message": log}}}]}
    assert read._trouble(pod, "failed", {}, 0.0) == ("BadConfiguration", f"error: {ended.value}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            QUERY + TASK + "org.apache.spark.SparkException: Task failed\n"
            "\tat org.apache.spark.sql.errors.QueryExecutionErrors$.failed(QueryExecutionErrors.scala:10)\n"
            "Caused by: org.apache.kafka.common.errors.TimeoutException: no answer\n"
            "\tat org.apache.kafka.KafkaException.of(KafkaException.java:1)\n\t... 12 more\n",
            "org.apache.kafka.common.errors.TimeoutException: no answer",
        ),
        (
            QUERY
            + TASK
            + "Caused by: org.apache.spark.api.python.PythonException: Traceback (most recent call last):\n"
            '  File "sink.py", line 3, in write\n    raise NoHostError(hosts)\n'
            "cassandra.NoHostError: no host answers: 10.0.0.1\n\n"
            "\tat org.apache.spark.api.python.BasePythonRunner.handlePythonException(PythonRunner.scala:1)\n",
            "cassandra.NoHostError: no host answers: 10.0.0.1",
        ),
        (QUERY + "the disk is full", QUERY + "the disk is full"),
        ("", "unknown"),
    ],
)
def test_a_cause_is_the_innermost_and_never_a_line_of_the_plan(text, said):
    assert cause(text + PLAN) == said


def test_a_cause_is_a_short_line():
    assert len(cause("java.io.IOException: " + "x" * 9000 + PLAN)) == LONGEST
