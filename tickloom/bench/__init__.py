"""Benchmarks: each starts what it needs, prints its figure beside a peer's from the same run, and their ratio."""
