"""A ticker's output has one owner."""

import json


def test_a_ticker_that_two_jobs_want_goes_to_the_older_until_it_is_gone(make_job, other_place):
    same = {"sinks": {"cassandra": {"keyspace": "contested"}}}
    first = make_job("first").create(same, tickers=["ATW", "IAM"]).until_stable(1)
    second = make_job("second").create(same, tickers=["IAM", "BCP"])
    elsewhere = other_place.job("third").create(same, tickers=["ATW"])
    for job, ticker in ((second, "'IAM'"), (elsewhere, "'ATW'")):
        found = job.until_condition("Degraded", "True", "TickerTaken")
        assert ticker in found["message"]
        assert f"{first.namespace}/first" in found["message"]
        assert job.record.started[job.name] == []
    first.delete().until_gone()
    second.until_stable(1)
    elsewhere.until_stable(1)
    elsewhere.delete()


def test_a_ticker_that_is_given_up_may_be_taken(make_job):
    same = {"sinks": {"cassandra": {"keyspace": "shared_fairly"}}}
    first = make_job("giver").create(same, tickers=["ATW", "IAM"]).until_stable(1)
    second = make_job("taker").create(same, tickers=["IAM"])
    second.until_condition("Degraded", "True", "TickerTaken")
    first.edit(tickers=["ATW"])
    first.until_stable(2)
    second.until_stable(1)


def test_a_ticker_that_runs_in_a_younger_job_is_not_taken_by_an_older_one(make_job):
    same = {"sinks": {"cassandra": {"keyspace": "taken_over"}}}
    older = make_job("older").create(same, tickers=["ATW"]).until_stable(1)
    younger = make_job("younger").create(same, tickers=["IAM"]).until_stable(1)
    older.edit(tickers=["ATW", "IAM"])
    older.until_condition("Degraded", "True", "TickerTaken")

    def writers():
        return [
            job.name
            for job in (older, younger)
            if job.alive() and "IAM" in json.loads(job.status["lastReconciledSpec"])["tickers"]
        ]

    older.until(lambda: older.status["observedGeneration"] == 2, "the change was seen")
    for names in older.unchanged_for(6, writers):
        assert len(names) == 1, names
