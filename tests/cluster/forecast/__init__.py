"""The forecast service as its chart runs it."""
