"""The charts, installed."""
