"""Kafka and Cassandra embedded on one machine."""
