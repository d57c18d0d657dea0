"""Forecasts over HTTP: what is asked and answered, the models that answer, and what protects them."""
