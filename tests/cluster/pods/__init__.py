"""Real applications in real pods, beside real Kafka and Cassandra."""
