"""The tables, as versioned migrations; a migration that was released is never changed, a new one is appended."""

import hashlib
from dataclasses import dataclass

DAY_S = 86_400
KEPT_DAYS = 90
"""Days for which prices, anomalies, news and what is derived from them are kept."""

WINDOWED = f"""compaction = {{
    'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'DAYS', 'compaction_window_size': 1
}} AND compression = {{'class': 'LZ4Compressor', 'chunk_length_in_kb': 16}}
AND default_time_to_live = {KEPT_DAYS * DAY_S} AND gc_grace_seconds = {DAY_S}"""
KEPT = """compaction = {'class': 'UnifiedCompactionStrategy'}
AND compression = {'class': 'ZstdCompressor', 'chunk_length_in_kb': 16}"""


@dataclass(frozen=True)
class Migration:
    """One step of the schema.

    Parameters
    ----------
    version
        Its place, from 1.
    name
        What it adds, in a word or two.
    statements
        CQL, each harmless when run again.
    """

    version: int
    name: str
    statements: tuple[str, ...]

    @property
    def checksum(self) -> str:
        """SHA-256 of the statements without regard to white space, in hex."""
        return hashlib.sha256("\n".join(" ".join(text.split()) for text in self.statements).encode()).hexdigest()


PRICES = (
    f"""CREATE TABLE IF NOT EXISTS stock_prices (
        ticker text, day date, bucket int,
        time timestamp, us smallint, source text, sequence bigint,
        price double, volume bigint, open double, high double, low double, interval text,
        rolling_avg double, rolling_std double, z_score double, is_anomaly boolean, late boolean,
        PRIMARY KEY ((ticker, day, bucket), time, us, source, sequence)
    ) WITH CLUSTERING ORDER BY (time DESC, us DESC, source ASC, sequence ASC) AND {WINDOWED}""",
    # Which days and buckets a ticker has, so that a reader walks back without probing empty days. Its rows outlive the
    # prices by a day, because a writer renews them once a day at most.
    f"""CREATE TABLE IF NOT EXISTS price_days (
        ticker text, day date, bucket int,
        PRIMARY KEY ((ticker), day, bucket)
    ) WITH CLUSTERING ORDER BY (day DESC, bucket DESC)
    AND compaction = {{'class': 'UnifiedCompactionStrategy'}}
    AND default_time_to_live = {(KEPT_DAYS + 1) * DAY_S} AND gc_grace_seconds = {DAY_S}""",
    f"""CREATE TABLE IF NOT EXISTS anomalies (
        ticker text, day date,
        time timestamp, us smallint, source text, sequence bigint,
        price double, rolling_avg double, rolling_std double, z_score double, threshold double,
        PRIMARY KEY ((ticker, day), time, us, source, sequence)
    ) WITH CLUSTERING ORDER BY (time DESC, us DESC, source ASC, sequence ASC) AND {WINDOWED}""",
    f"""CREATE TABLE IF NOT EXISTS bars (
        ticker text, interval text, year int,
        time timestamp,
        day date, open double, high double, low double, close double, volume bigint, vwap double, ticks int,
        final boolean, source text, indicators frozen<map<text, double>>,
        PRIMARY KEY ((ticker, interval, year), time)
    ) WITH CLUSTERING ORDER BY (time DESC) AND {KEPT}""",
)

NEWS = (
    f"""CREATE TABLE IF NOT EXISTS financial_news (
        ticker text, day date,
        time timestamp, id text,
        title text, summary text, url text, source text, language text,
        sentiment double, label text, confidence double, model text,
        PRIMARY KEY ((ticker, day), time, id)
    ) WITH CLUSTERING ORDER BY (time DESC, id ASC) AND {WINDOWED}""",
    f"""CREATE TABLE IF NOT EXISTS sentiment_analysis (
        ticker text, day date,
        time timestamp, interval text, model text,
        items int, sentiment double, deviation double, positive int, neutral int, negative int,
        PRIMARY KEY ((ticker, day), time, interval, model)
    ) WITH CLUSTERING ORDER BY (time DESC, interval ASC, model ASC) AND {WINDOWED}""",
    f"""CREATE TABLE IF NOT EXISTS multimodal_analysis (
        ticker text, day date,
        time timestamp, interval text,
        price_change double, z_score double, sentiment double, divergence double, threshold double,
        is_anomaly boolean, kind text,
        PRIMARY KEY ((ticker, day), time, interval)
    ) WITH CLUSTERING ORDER BY (time DESC, interval ASC) AND {WINDOWED}""",
)

FORECASTS = (
    f"""CREATE TABLE IF NOT EXISTS predictions (
        ticker text, interval text, year int,
        cutoff timestamp, model text, ds timestamp,
        model_version text, y_hat double, lo_80 double, hi_80 double, lo_95 double, hi_95 double, created timestamp,
        PRIMARY KEY ((ticker, interval, year), cutoff, model, ds)
    ) WITH CLUSTERING ORDER BY (cutoff DESC, model ASC, ds ASC) AND {KEPT}""",
    f"""CREATE TABLE IF NOT EXISTS model_performance (
        ticker text, interval text, model text,
        cutoff timestamp, metric text, horizon int,
        model_version text, value double, baseline double, lo_95 double, hi_95 double, verdict text, rows int,
        PRIMARY KEY ((ticker, interval, model), cutoff, metric, horizon)
    ) WITH CLUSTERING ORDER BY (cutoff DESC, metric ASC, horizon ASC) AND {KEPT}""",
    # kind is 'forecast' or 'score': the score comes when the market has answered, as a row of its own.
    f"""CREATE TABLE IF NOT EXISTS forecast_ledger (
        ticker text, interval text, year int,
        cutoff timestamp, ds timestamp, model text, kind text,
        request text, arm text, model_version text, shadow boolean,
        y_hat double, lo_80 double, hi_80 double, lo_95 double, hi_95 double,
        y double, losses frozen<map<text, double>>, recorded timestamp,
        PRIMARY KEY ((ticker, interval, year), cutoff, ds, model, kind)
    ) WITH CLUSTERING ORDER BY (cutoff DESC, ds ASC, model ASC, kind ASC) AND {KEPT}""",
    f"""CREATE TABLE IF NOT EXISTS routing_audit (
        experiment text, day date,
        time timestamp, request text,
        ticker text, arm text, model text, model_version text, reason text, status text, latency_ms double,
        PRIMARY KEY ((experiment, day), time, request)
    ) WITH CLUSTERING ORDER BY (time DESC, request ASC) AND {KEPT}""",
)

# Remakes two tables that nothing had written to: a forecast belongs to an experiment's arm, and a decision is a row of
# the audit as an assignment is. A forecast has revision 0; a score's grows with each correction of its close.
LEDGER = (
    "DROP TABLE IF EXISTS forecast_ledger",
    f"""CREATE TABLE IF NOT EXISTS forecast_ledger (
        experiment text, ticker text, interval text, year int,
        cutoff date, horizon int, arm text, kind text, revision int,
        market text, ds date, model text, model_version text, shadow boolean, request text, features text,
        y_cutoff double, y_hat double, lo_80 double, hi_80 double, lo_95 double, hi_95 double,
        y double, losses frozen<map<text, double>>, recorded timestamp,
        PRIMARY KEY ((experiment, ticker, interval, year), cutoff, horizon, arm, kind, revision)
    ) WITH CLUSTERING ORDER BY (cutoff DESC, horizon ASC, arm ASC, kind ASC, revision ASC) AND {KEPT}""",
    "DROP TABLE IF EXISTS routing_audit",
    # kind is 'assignment', 'decision' or 'alias'; who is a person or the part of the product that did it.
    f"""CREATE TABLE IF NOT EXISTS routing_audit (
        experiment text, day date,
        time timestamp, id text,
        kind text, who text, what text, why text, arm text, ticker text, model_version text,
        numbers frozen<map<text, double>>, request text,
        PRIMARY KEY ((experiment, day), time, id)
    ) WITH CLUSTERING ORDER BY (time DESC, id ASC) AND {KEPT}""",
    # state is JSON; a change names the revision that it changes.
    """CREATE TABLE IF NOT EXISTS experiment_states (
        experiment text, revision int, status text, state text, changed timestamp,
        PRIMARY KEY ((experiment))
    ) WITH compaction = {'class': 'UnifiedCompactionStrategy'}""",
    # A row lives for as long as its writer says, and is gone soon after: it is renewed every few seconds.
    """CREATE TABLE IF NOT EXISTS arm_health (
        experiment text, arm text, replica text,
        generation int, requests bigint, failures bigint, slow bigint,
        edges frozen<list<double>>, histogram frozen<list<bigint>>,
        keys bigint, expected double, log_odds double, recorded timestamp,
        PRIMARY KEY ((experiment), arm, replica)
    ) WITH compaction = {'class': 'UnifiedCompactionStrategy'}
    AND default_time_to_live = 3600 AND gc_grace_seconds = 3600""",
)

MIGRATIONS = (
    Migration(1, "prices", PRICES),
    Migration(2, "news", NEWS),
    Migration(3, "forecasts", FORECASTS),
    Migration(4, "ledger", LEDGER),
)
