"""Prices into Kafka, around the clock: each source when its exchange is open."""
