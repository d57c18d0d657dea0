"""Parsing and validation in the JVM: Kafka records in, typed columns or a reason for refusal out."""

from collections.abc import Collection

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tickloom.manifest.model import milliseconds
from tickloom.market.intervals import SECONDS
from tickloom.stream.job import Spec
from tickloom.stream.rows import UNKNOWN_VOLUME

FIELDS = ("v", "ticker", "time", "price", "volume", "source", "sequence", "interval", "open", "high", "low")
REQUIRED = ("v", "ticker", "time", "price", "source", "sequence")
SCHEMA_VERSION = "1"
EARLIEST = "1990-01-01T00:00:00Z"
SEPARATORS = "\x1c\x1d\x1e\x1f"
FIELD = SEPARATORS[3]
"""Between the parts of what crosses to Python; see ``wire``."""
DEAD_GROUP = "\x00dead-"
"""Prefix of the groups that carry refused records past the state; no ticker begins so."""

_JSON = ", ".join(f"`{name}` string" for name in FIELDS) + ", `_corrupt` string"
_DOUBLES = ("price", "open", "high", "low")


def mine(spec: Spec, known: Collection[str]) -> Column:
    """Return the condition under which a record belongs to the job.

    A record belongs to the job that owns the ticker in its Kafka key. A record whose key is in no instrument list has
    no owner, and belongs to the job that sets ``deadLetters: all``.
    """
    key = F.col("key").cast("string")
    owned = F.coalesce(key.isin(*spec.tickers), F.lit(False))
    if spec.dead_letters == "all":
        return owned | ~F.coalesce(key.isin(*known), F.lit(False))
    return owned


def typed(records: DataFrame, spec: Spec) -> DataFrame:
    """Return one row per record, typed where it is valid and with a ``refusal`` where it is not.

    Parameters
    ----------
    records
        Columns ``key``, ``value``, ``partition``, ``offset``, ``timestamp`` of the Kafka source.
    spec
        The job's spec: tickers and limits.

    Returns
    -------
    DataFrame
        ``group`` (ticker, or ``DEAD_GROUP`` and the partition), the typed fields, ``position``, ``arrived_us``, and the
        original ``key``, ``value``, ``partition``, ``offset``.
    """
    limit = spec.processors.prices.max_record_bytes
    text = F.col("value").cast("string")
    readable = (F.octet_length("value") <= limit) & F.expr("is_valid_utf8(cast(value as string))")
    parsed = records.select(
        "key",
        "value",
        "partition",
        "offset",
        F.unix_micros("timestamp").alias("arrived_us"),
        F.from_json(F.when(readable, text), _JSON, {"columnNameOfCorruptRecord": "_corrupt"}).alias("j"),
    )
    numbers = [F.expr(f"try_cast(j.`{name}` as double)").alias(name) for name in _DOUBLES]
    columns = parsed.select(
        "*",
        *numbers,
        F.expr("unix_micros(try_cast(j.time as timestamp))").alias("time_us"),
        F.expr("try_cast(j.volume as bigint)").alias("volume"),
        F.expr("try_cast(j.sequence as bigint)").alias("sequence"),
        _interval_seconds().alias("interval_s"),
    )
    judged = columns.select("*", _refusal(spec, limit).alias("refusal"))
    valid = F.col("refusal").isNull()
    return judged.select(
        F.when(valid, F.col("key").cast("string"))
        .otherwise(F.concat(F.lit(DEAD_GROUP), F.col("partition").cast("string")))
        .alias("group"),
        F.coalesce("time_us", F.lit(0)).alias("time_us"),
        F.coalesce("sequence", F.lit(0)).alias("sequence"),
        (F.col("partition").cast("bigint") * F.lit(1 << 48) + F.col("offset")).alias("position"),
        F.coalesce(F.col("j.source"), F.lit("")).alias("source"),
        F.coalesce("price", F.lit(0.0)).alias("price"),
        F.coalesce("volume", F.lit(UNKNOWN_VOLUME)).alias("volume"),
        *(
            F.when(F.col("interval_s") > 0, F.col(name)).otherwise(F.lit(float("nan"))).alias(name)
            for name in _DOUBLES[1:]
        ),
        F.coalesce("interval_s", F.lit(0)).alias("interval_s"),
        "arrived_us",
        "refusal",
        "key",
        "value",
        "partition",
        "offset",
    )


def _interval_seconds() -> Column:
    known = F.lit(None).cast("int")
    for name, seconds in SECONDS.items():
        known = F.when(F.col("j.interval") == name, F.lit(seconds)).otherwise(known)
    return F.when(F.col("j.interval").isNull(), F.lit(0)).otherwise(known)


def _more_follows(text: Column) -> Column:
    """Return whether something follows the first JSON object, which is all that ``from_json`` reads."""
    trimmed = F.rtrim(text)
    one_value = F.json_array_length(F.concat(F.lit("["), text, F.lit("]"))) == 1
    # Only a record with a brace before its end needs the second reading, which knows no NaN.
    early_brace = F.instr(text, "}") < F.length(trimmed)
    return ~trimmed.endswith("}") | (early_brace & ~F.coalesce(one_value, F.lit(False)))


def _refusal(spec: Spec, limit: int) -> Column:
    """Return the first rule that a record breaks, as ``reason FIELD detail``; null where it breaks none."""
    ahead_us = milliseconds(spec.processors.prices.future_tolerance) * 1000
    earliest = F.expr(f"unix_micros(timestamp'{EARLIEST}')")
    key, ticker = F.col("key").cast("string"), F.col("j.ticker")
    missing = F.concat_ws(",", *(F.when(F.col(f"j.{name}").isNull(), F.lit(name)) for name in REQUIRED))
    summary_prices = F.col("interval_s") > 0

    def bad_price(name: str) -> Column:
        value = F.col(name)
        return value.isNull() | F.isnan(value) | (value <= 0) | (value == float("inf"))

    def show(text: Column) -> Column:
        return F.translate(F.substring(F.coalesce(text, F.lit("null")), 1, 80), SEPARATORS, "    ")

    shown = {name: F.concat(F.lit(f"{name} "), show(F.col(f"j.{name}"))) for name in FIELDS}
    bad_range = (F.col("low") > F.least("open", "price")) | (F.col("high") < F.greatest("open", "price"))
    rules: list[tuple[Column, str, Column]] = [
        (F.col("value").isNull(), "not-json", F.lit("the record has no value")),
        (
            F.octet_length("value") > limit,
            "too-large",
            F.concat(F.octet_length("value").cast("string"), F.lit(f" bytes, at most {limit}")),
        ),
        (F.expr("not is_valid_utf8(cast(value as string))"), "not-utf8", F.lit("the value is not UTF-8")),
        (
            F.col("j").isNull()
            | F.col("j._corrupt").isNotNull()
            | (missing == ",".join(REQUIRED))
            | _more_follows(F.col("value").cast("string")),
            "not-json",
            F.lit("the value is not a JSON object of a price"),
        ),
        (F.col("j.v").isNotNull() & (F.col("j.v") != SCHEMA_VERSION), "schema-version", shown["v"]),
        (missing != "", "missing-field", missing),
        (key.isNull(), "no-key", F.lit("the record has no key; a price's key is its ticker")),
        (~ticker.isin(*spec.tickers) & (key == ticker), "unknown-ticker", shown["ticker"]),
        (key != ticker, "key-mismatch", F.concat(F.lit("key "), show(key), F.lit(", "), shown["ticker"])),
        (bad_price("price"), "bad-price", shown["price"]),
        (
            F.col("time_us").isNull()
            | (F.length("j.time") < 20)
            | ~(F.col("j.time").endswith("Z") | F.col("j.time").endswith("+00:00"))
            | (F.col("time_us") < earliest),
            "bad-time",
            shown["time"],
        ),
        (F.col("time_us") > F.col("arrived_us") + ahead_us, "future-time", shown["time"]),
        (F.col("sequence").isNull() | (F.col("sequence") < 0), "bad-value", shown["sequence"]),
        (~F.col("j.source").rlike("^[a-z0-9_.-]{1,64}$"), "bad-value", shown["source"]),
        (
            F.col("j.volume").isNotNull() & (F.col("volume").isNull() | (F.col("volume") < 0)),
            "bad-value",
            shown["volume"],
        ),
        (F.col("interval_s").isNull(), "bad-value", shown["interval"]),
    ]
    rules += [(summary_prices & bad_price(name), "bad-price", shown[name]) for name in _DOUBLES[1:]]
    rules.append((summary_prices & bad_range, "bad-price", F.lit("open and price must lie between low and high")))
    return F.coalesce(*(F.when(broken, F.concat(F.lit(f"{name}{FIELD}"), text)) for broken, name, text in rules))
