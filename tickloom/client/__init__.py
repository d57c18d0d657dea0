"""A client of the forecast service."""
