"""The protection of the service, as its settings say."""

import httpx

from services.forecast.settings import ServeSettings
from tickloom.serving.answering import Answering
from tickloom.serving.dispatch import Dispatcher
from tickloom.serving.metrics import Counts, Metrics
from tickloom.serving.protection.admission import Admission
from tickloom.serving.protection.audit import Audit
from tickloom.serving.protection.gate import Gate
from tickloom.serving.protection.keys import Keys
from tickloom.serving.protection.rates import Rates
from tickloom.serving.protection.shield import App, Limits, Shield
from tickloom.serving.protection.tokens import KeySet, Tokens


def shielded(
    app: App, chosen: ServeSettings, metrics: Metrics, answering: Answering, dispatcher: Dispatcher, shadows: Counts
) -> Shield:
    """Return the routes with what protects them before them, and have the metrics watch both."""
    gate = Gate(chosen.in_flight, chosen.patience_ms / 1000, chosen.patient)
    metrics.watch("in_flight", "Requests in flight.", lambda: gate.in_flight)
    metrics.watch("wait_seconds", "How long a request that came now would wait, by estimate.", lambda: gate.wait_s)
    metrics.watch("waiting", "Forecasts that wait for the inference process.", lambda: dispatcher.waiting)
    metrics.watch("tickers", "Tickers that can be forecast.", lambda: len(answering.catalogue.aliases))
    metrics.watch_shadows(shadows)
    limits = Limits(chosen.body_bytes, chosen.body_s, chosen.request_s, chosen.metrics_open)
    return Shield(app, limits, admission(chosen), gate, metrics, Audit() if chosen.audit else None)


def admission(chosen: ServeSettings) -> Admission:
    """Return who is let in.

    Raises
    ------
    ConfigurationError
        The file of keys cannot be read.
    """
    keys = None if chosen.keys is None else Keys(chosen.keys)
    tokens = None
    if chosen.issuer is not None and chosen.audience is not None:
        tokens = Tokens(chosen.issuer, chosen.audience, KeySet(chosen.issuer, httpx.AsyncClient()))
    return Admission(keys, tokens, Rates(chosen.redis), chosen.rate)
