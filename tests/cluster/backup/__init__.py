"""Cassandra's backup and the way back, on a real node."""
