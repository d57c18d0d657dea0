"""A client of the forecast service.

>>> from tickloom.client import Client
>>> with Client("https://forecasts.example.com", key="desk.…") as client:  # doctest: +SKIP
...     client.forecast("AAPL", horizon=5).sessions[0].close
170.73
"""

from tickloom.client.calls import AsyncClient, Client
from tickloom.client.errors import ServiceError, UnavailableError
from tickloom.client.results import Batch, Forecast, Interval, Model, Session, Ticker

__all__ = [
    "AsyncClient",
    "Batch",
    "Client",
    "Forecast",
    "Interval",
    "Model",
    "ServiceError",
    "Session",
    "Ticker",
    "UnavailableError",
]
