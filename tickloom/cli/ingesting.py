"""What every ``tickloom ingest`` does with its blocks: send or print them, count them, and say what was done."""

import json
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tickloom.market.records import Tick
from tickloom.sources.blocks import PriceBlock

_log = structlog.get_logger()
_TOLERANCE_S = 300.0  # the default of a StreamJob's futureTolerance


@dataclass
class Delivery:
    """Blocks on their way to Kafka or to standard output.

    Attributes
    ----------
    blocks : iterable of PriceBlock
    origin : str
        One word for all records.
    origins : dict
        For each ticker, where its records come from, in words.
    total : int or None
        Number of records, if known before.
    """

    blocks: Iterable[PriceBlock]
    origin: str
    origins: dict[str, str] = field(default_factory=dict)
    total: int | None = None
    dry_run: bool = False
    _seen: dict[str, dict[str, int]] = field(default_factory=dict, init=False)
    _sent: int = field(default=0, init=False)
    _failed: int = field(default=0, init=False)
    _ahead: bool = field(default=False, init=False)

    def run(self, bootstrap: str, topic: str | None, as_json: bool) -> bool:
        """Send or print everything, report on it, and return False when SIGINT or SIGTERM stopped it."""
        begin = time.monotonic()
        finished = True
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            self._print_all() if self.dry_run else self._send_all(bootstrap, topic)
        except KeyboardInterrupt:
            finished = False
        finally:
            signal.signal(signal.SIGTERM, before)
        self._report(time.monotonic() - begin, as_json)
        return finished

    def _send_all(self, bootstrap: str, topic: str | None) -> None:
        from tickloom.bus.producer import PriceProducer
        from tickloom.bus.roles import ROLES
        from tickloom.bus.topics import create, topic_name

        name = topic or topic_name("prices")
        create(bootstrap, {name: ROLES["prices"]})
        producer = PriceProducer(bootstrap, name)
        try:
            with producer, self._progress() as progress:
                task = progress.add_task("sending", total=self.total) if progress is not None else None
                for block in self.blocks:
                    producer.send_block(block)
                    self._count(block)
                    if progress is not None and task is not None:
                        progress.advance(task, len(block))
        finally:
            self._sent, self._failed = producer.sent, producer.failed

    def _print_all(self) -> None:
        for block in self.blocks:
            for tick in block.ticks():
                sys.stdout.write(json.dumps(as_message(tick)) + "\n")
            self._count(block)

    def _progress(self) -> Any:
        console = Console(stderr=True)
        if not console.is_terminal:
            return nullcontext()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        return Progress(*columns, console=console)

    def _count(self, block: PriceBlock) -> None:
        """Add a block to the sums; say once when its records lie ahead of the clock."""
        if len(block) and not self._ahead and int(block.time_us[-1]) > (time.time() + _TOLERANCE_S) * 1e6:
            self._ahead = True
            _log.warning(
                "records have times ahead of the clock; a StreamJob refuses those beyond its futureTolerance",
                time=_iso(int(block.time_us[-1])),
            )
        for code in np.unique(block.codes):
            times = block.time_us[block.codes == code]
            seen = self._seen.setdefault(block.tickers[code], {"records": 0, "first": int(times[0]), "last": 0})
            seen["records"] += len(times)
            seen["last"] = int(times[-1])

    def _report(self, seconds: float, as_json: bool) -> None:
        tickers = {
            ticker: {
                "records": seen["records"],
                "first": _iso(seen["first"]),
                "last": _iso(seen["last"]),
                "origin": self.origins.get(ticker, self.origin),
            }
            for ticker, seen in sorted(self._seen.items())
        }
        if as_json:
            result = {
                "sent": self._sent,
                "failed": self._failed,
                "seconds": round(seconds, 3),
                "origin": self.origin,
                "dry_run": self.dry_run,
                "tickers": tickers,
            }
            sys.stdout.write(json.dumps(result) + "\n")
            return
        out = sys.stderr if self.dry_run else sys.stdout
        read = sum(seen["records"] for seen in self._seen.values())
        done = f"{read} records printed" if self.dry_run else f"{self._sent} records sent, {self._failed} failed"
        out.write(f"{done} in {seconds:.1f} s\n")
        for ticker, told in tickers.items():
            out.write(f"{ticker}: {told['records']} from {told['first']} to {told['last']} ({told['origin']})\n")


def as_message(tick: Tick) -> dict[str, Any]:
    """Return a tick in the form of the topic's messages."""
    message: dict[str, Any] = {
        "v": 1,
        "ticker": tick.ticker,
        "time": tick.time.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "price": tick.price,
        "volume": tick.volume,
        "source": tick.source,
        "sequence": tick.sequence,
    }
    if tick.interval is not None:
        message |= {"interval": tick.interval, "open": tick.open, "high": tick.high, "low": tick.low}
    return message


def _iso(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
