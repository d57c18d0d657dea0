"""Killed anywhere, the application ends with the same cells as if nobody had touched it."""

import random
import time

import pytest

from tests.integration.stream.jobs import Job, kill
from tickloom.stream.faults import POINTS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

BATCH = 300
KILLS = 20


@pytest.fixture(scope="module")
def untouched(mixed, stack, tmp_path_factory):
    name, kinds, count = mixed
    job = Job(tmp_path_factory.mktemp("untouched"), stack, name, {"source": {"maxOffsetsPerTrigger": BATCH}})
    totals = job.run()
    assert totals["rows_in"] == count
    return job, kinds, totals


def assert_same(job, untouched):
    assert job.batches() >= untouched.batches()
    tables, wanted = job.tables(), untouched.tables()
    for table in wanted:
        assert wanted[table], table
        assert tables[table] == wanted[table], table
    assert job.lake() == untouched.lake()
    assert job.lake()


def test_the_counts_add_up(untouched):
    _, kinds, totals = untouched
    assert totals["filtered"] == kinds["filtered"]
    assert totals["dead_letters"] == kinds["dead"]
    assert totals["duplicates"] == kinds["repeats"]
    assert totals["rows_out"] == kinds["good"] + kinds["late"]
    counted = totals["rows_out"] + totals["dead_letters"] + totals["duplicates"] + totals["filtered"]
    assert totals["rows_in"] == counted


def test_killed_before_and_after_every_write_and_commit(untouched, mixed, stack, tmp_path):
    reference, _, _ = untouched
    job = Job(tmp_path, stack, mixed[0], {"source": {"maxOffsetsPerTrigger": BATCH}})
    for batch, point in enumerate(POINTS, start=1):
        assert job.run(fault=f"{point}:{batch}") is None, f"{point} was not reached: {job.tail()}"
    job.run()
    assert_same(job, reference)


def test_twenty_random_kills(untouched, mixed, stack, tmp_path):
    reference, _, _ = untouched
    dice = random.Random(20)
    job = Job(tmp_path, stack, mixed[0], {"source": {"maxOffsetsPerTrigger": BATCH}})
    for number in range(KILLS):
        done = job.batches()
        process = job.start()
        until = time.monotonic() + 60
        while job.batches() <= done and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        assert process.poll() is None, f"ended before kill {number}: {job.tail()}"
        time.sleep(dice.uniform(0, 0.5))
        kill(process)
        process.wait(30)
    job.run()
    assert_same(job, reference)
