"""The service without its processes: routes and shield around an inference process that is a function."""

import asyncio
from contextlib import asynccontextmanager
from datetime import date

import httpx

from tickloom.serving.answering import Answering
from tickloom.serving.app import admitted, build
from tickloom.serving.cache import LocalCache, NoCache
from tickloom.serving.catalogue import Catalogue
from tickloom.serving.dispatch import Dispatcher
from tickloom.serving.health import Health
from tickloom.serving.metrics import CountedCache, Metrics
from tickloom.serving.protection.admission import Admission
from tickloom.serving.protection.gate import Gate
from tickloom.serving.protection.rates import Rates
from tickloom.serving.protection.shield import Limits, Shield
from tickloom.serving.routed import champion
from tickloom.serving.sessions import Standings

DAY = (date(2024, 3, 8) - date(1970, 1, 1)).days
NOW = DAY * 86_400 + 22 * 3600
"""After the close of New York on Friday, 8 March 2024."""
KNOWN = {
    ("XNYS", "AAPL"): {"champion": 3},
    ("XNYS", "MSFT"): {"champion": 1, "challenger-lstm": 2},
    ("XCAS", "ATW"): {"champion": 1},
}


def forecast(asked):
    """Return what an engine would for a model of five sessions."""
    steps = range(1, 6)
    close = 100.0
    return {
        "model": "ridge", "version": asked["version"], "verdict": "indistinguishable", "remark": "",
        "learned_to": "2024-01-31", "cutoff": min(DAY, asked["as_of"] or DAY), "close": close,
        "days": [DAY + 2 + at for at in steps], "price": [close + at for at in steps],
        "levels": asked["levels"],
        "lower": [[close - at for at in steps] for _ in asked["levels"]],
        "upper": [[close + 3 * at for at in steps] for _ in asked["levels"]],
        "features": "0" * 64, "why": {"rsi_14": 0.001, "sma_20": -0.0004} if asked["why"] else None,
    }  # fmt: skip


class Inference:
    """An inference process that can be away, slow, or refuse."""

    def __init__(self):
        self.away = self.refuses = None
        self.pause_s = 0.0
        self.asked = []

    async def __call__(self, asked):
        if self.pause_s:
            await asyncio.sleep(self.pause_s)
        if self.away is not None:
            raise self.away
        self.asked += asked
        if self.refuses is not None:
            return [{"refused": self.refuses} for _ in asked]
        return [forecast(it) for it in asked]


class Service:
    """All of the front, as the process has it."""

    def __init__(self, *, admit=None, limits=None, gate=None, audit=None, cache=False, waiting=256, timeout_s=5.0):
        self.inference = Inference()
        self.metrics = Metrics()
        self.trouble = None
        self.dispatcher = Dispatcher(self.inference, waiting=waiting)
        self.answering = Answering(
            self.dispatcher, CountedCache(LocalCache() if cache else NoCache(), self.metrics),
            Standings(lambda: float(NOW)), champion, lambda *_: None, Health(), lambda *_: None, timeout_s,
        )  # fmt: skip
        self.answering.catalogue = Catalogue.of(KNOWN)
        self.gate = gate or Gate(256, 60.0)
        self.routes = build(self.answering, admitted, lambda: self.trouble, self.metrics.registry)
        self.app = Shield(
            self.routes, limits or Limits(), admit or Admission(None, None, Rates()), self.gate, self.metrics, audit
        )

    @asynccontextmanager
    async def client(self, **headers):
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers) as client:
            yield client

    def ask(self, method, path, headers=None, **options):
        """Return the answer to one request."""

        async def send():
            async with self.client(**(headers or {})) as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())

    def post(self, body, path="/v1/forecast", **headers):
        return self.ask("POST", path, headers, json=body)

    def value(self, name, **labels):
        return self.metrics.registry.get_sample_value(name, labels)
