"""Where the checkpoint is, and that only the newest epoch writes it."""

import json
from pathlib import Path

import pytest

from tickloom.errors import TickloomError
from tickloom.stream.checkpoint import Fence, location, partitions_read
from tickloom.stream.job import parse


def job(path=None):
    spec = {"tickers": ["AAPL"], "market": "XNYS", **({"checkpoint": {"path": path}} if path else {})}
    return parse({"apiVersion": "tickloom.dev/v1alpha1", "kind": "StreamJob", "metadata": {"name": "a"}, "spec": spec})


def fence(folder, epoch, path=None, incarnation=0):
    return Fence.of(job(path), folder, epoch, incarnation)


def test_the_checkpoint_is_in_the_jobs_folder_or_where_the_manifest_says(tmp_path):
    assert location(job(), tmp_path) == str(tmp_path / "checkpoint")
    assert location(job("/elsewhere"), tmp_path) == "/elsewhere"
    assert location(job("here"), tmp_path) == str(Path("here").absolute())
    assert location(job("s3a://bucket/a"), tmp_path) == "s3a://bucket/a"


def test_a_lower_epoch_is_refused_and_the_same_or_a_higher_one_is_not(tmp_path):
    fence(tmp_path, 3).enter()
    assert (tmp_path / "checkpoint" / "epoch").read_text() == "3\n"
    with pytest.raises(TickloomError, match=r"StreamJob a: epoch 3 has taken over .*, so epoch 2 writes nothing"):
        fence(tmp_path, 2).enter()
    assert (tmp_path / "checkpoint" / "epoch").read_text() == "3\n"
    fence(tmp_path, 3).enter()
    fence(tmp_path, 10).enter()


def test_a_running_driver_sees_the_newer_epoch(tmp_path):
    old, new = fence(tmp_path, 1), fence(tmp_path, 2)
    old.enter()
    old.check()
    new.enter()
    new.check()
    with pytest.raises(TickloomError, match="epoch 2 has taken over"):
        old.check()


def test_a_job_that_was_made_anew_begins_at_the_first_epoch_again(tmp_path):
    old, new = fence(tmp_path, 27, incarnation=100), fence(tmp_path, 1, incarnation=200)
    old.enter()
    new.enter()
    with pytest.raises(TickloomError, match="a StreamJob of its name that was made later has"):
        old.check()
    with pytest.raises(TickloomError, match="made later has; start with TICKLOOM_INCARNATION=200"):
        fence(tmp_path, 99).enter()
    fence(tmp_path, 2, incarnation=200).enter()


@pytest.mark.parametrize("path", ["s3a://bucket/a", "another"])
def test_a_newer_epoch_with_another_checkpoint_takes_over_as_well(tmp_path, path):
    old = fence(tmp_path, 1)
    old.enter()
    fence(tmp_path, 2, path if ":" in path else str(tmp_path / path)).enter()
    with pytest.raises(TickloomError, match="epoch 2 has taken over"):
        old.check()


def test_without_an_epoch_nothing_is_written_and_nothing_refused(tmp_path):
    fence(tmp_path, 5).enter()
    fence(tmp_path, None).enter()
    assert (tmp_path / "epoch").read_text() == "5\n"
    fence(tmp_path / "fresh", None).enter()
    assert not (tmp_path / "fresh").exists()


@pytest.mark.parametrize("text", ["five", "", "1 2 3", "-1"])
def test_a_file_that_is_no_number_is_named(tmp_path, text):
    (tmp_path / "epoch").write_text(text)
    with pytest.raises(TickloomError, match=rf"epoch holds '{text}'"):
        fence(tmp_path, 1).enter()


def test_the_partitions_of_a_checkpoint_are_those_of_all_its_offsets(tmp_path, spark):
    assert partitions_read(spark, str(tmp_path / "checkpoint"), "prices") == set()
    offsets = tmp_path / "checkpoint" / "offsets"
    offsets.mkdir(parents=True)
    for number, end in enumerate(({"0": 5}, {"0": 9, "2": 1})):
        lines = ["v1", '{"batchWatermarkMs":0}', json.dumps({"prices": end}), '{"logOffset":0}']
        (offsets / str(number)).write_text("\n".join(lines))
    assert partitions_read(spark, str(tmp_path / "checkpoint"), "prices") == {0, 2}
