"""Cassandra: tables and their migrations, the writer and the queries; the Parquet lake."""
