"""Tickloom: real-time market analytics and honest forecasting."""

__version__ = "0.1.0"
