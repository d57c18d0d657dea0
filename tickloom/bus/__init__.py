"""Kafka: topics, message schemas, producers, dead letters and small readers."""
