"""What an installation needs before its first job: topics and tables, made by two verbs that do nothing twice."""

import json
import os
import subprocess
import sys
import uuid

import pytest

from tickloom.bus.roles import ROLES

pytestmark = pytest.mark.integration


def tickloom(stack, *arguments, **environment):
    command = [sys.executable, "-m", "tickloom.cli.main", *arguments]
    where = {"TICKLOOM_KAFKA": stack.kafka, "TICKLOOM_CASSANDRA": stack.cassandra}
    return subprocess.run(
        command, env={**os.environ, **where, **environment}, capture_output=True, text=True, check=False
    )


def test_topics_are_made_once(stack):
    prefix = f"making-{uuid.uuid4().hex[:6]}-"
    first = tickloom(stack, "topics", "--json", TICKLOOM_TOPIC_PREFIX=prefix)
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout) == {"made": [prefix + role for role in ROLES], "there": []}
    again = tickloom(stack, "topics", "prices", "bars", TICKLOOM_TOPIC_PREFIX=prefix)
    assert again.stdout == f"{prefix}prices: there already\n{prefix}bars: there already\n"


def test_an_unknown_topic_is_named(stack):
    done = tickloom(stack, "topics", "quotes")
    assert done.returncode == 1
    assert "topic 'quotes' is unknown; known: prices" in done.stderr


def test_tables_are_made_once(stack):
    keyspace = f"m{uuid.uuid4().hex[:10]}"
    first = tickloom(stack, "migrate", "--keyspace", keyspace, "--json")
    assert first.returncode == 0, first.stderr
    made = json.loads(first.stdout)
    assert made["keyspace"] == keyspace
    assert made["migrations"]
    again = tickloom(stack, "migrate", "--keyspace", keyspace)
    assert again.stdout == f"keyspace {keyspace}: nothing to do\n"


def test_a_cassandra_that_is_away_is_waited_for_as_long_as_asked(stack):
    done = tickloom(stack, "migrate", "--wait", "1", TICKLOOM_CASSANDRA="127.0.0.1:1")
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr


def test_a_wrong_number_of_replicas_is_named(stack):
    done = tickloom(stack, "migrate", "--data-center", "dc1")
    assert done.returncode == 1
    assert "--data-center 'dc1' is not of the form dc1=3" in done.stderr
